"""The command line. Every command is a thin caller of a verb; torch is imported only by those that need it.

Exit codes: 0 success, 2 a user's mistake (one sentence on the error stream), 1 a failure of ours, 130 after Ctrl-C.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from makar.apps import chain, governance, inquiry
from makar.apps.chain import show
from makar.apps.data_options import takes_data
from makar.apps.interrupts import STOPPED, quiet
from makar.core.errors import MakarError, plain

app = typer.Typer(
    help="Train, sample, compare and account for every family of generative model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(
    help="Look at data: where it comes from, under which licence, and what is in it.", no_args_is_help=True
)
recipe_app = typer.Typer(help="Published systems as settings that run.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(recipe_app, name="recipe")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")]
Seed = Annotated[int, typer.Option(help="The same seed makes the same bytes.", min=0)]
Out = Annotated[Path, typer.Option(help="Where to write.")]
Options = dict[str, Any]  # of the data, see `data_options`
Drawn = Annotated[
    int | None, typer.Option("-n", help="Items drawn to be scored (1000; rows to 4000, long texts 100).", min=2)
]
NoChain = Annotated[bool, typer.Option("--no-chain", help="Write no ledger, receipt, mark or signature, and say so.")]
Threads = Annotated[int | None, typer.Option(help="Threads for the arithmetic (default: all cores).", min=1)]
Set = Annotated[list[str] | None, typer.Option("--set", help="A setting of the family, such as --set latent=8.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", help="A setting of the family (--set latent=8) or of the codec (--set codec.length=128)."),
]
Codec = Annotated[
    str | None, typer.Option(help="How things become tensors; see `makar codecs` (default: as they are).")
]


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"makar {importlib.metadata.version('makar')}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """Options of makar itself."""


def settings_from(pairs: list[str] | None) -> dict[str, Any]:
    """Settings from words such as "latent=8"; values are JSON, or plain words."""
    settings: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals:
            raise MakarError(f"--set was given '{pair}'; write it as name=value")
        try:
            settings[key.strip()] = json.loads(value)
        except ValueError:
            settings[key.strip()] = value
    return settings


def use_threads(threads: int | None) -> None:
    """Set torch's threads where the user asked."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


@app.command()
@takes_data
def compare(
    data: Annotated[str, typer.Argument(help="digits, text:PATH, csv:PATH, folder:PATH, …")],
    families: Annotated[str, typer.Option(help="'all', or names with commas.")] = "all",
    budget: Annotated[str, typer.Option(help="For each training: 20s (CPU), 500 steps, 1e12 flops, …")] = "20s",
    seeds: Annotated[int, typer.Option(help="Trainings of each family.", min=1)] = 3,
    out: Out = Path("runs/comparison"),
    workers: Annotated[int, typer.Option(help="Trainings at a time.", min=1)] = max(1, os.cpu_count() or 1),
    n: Drawn = None,
    timeout: Annotated[float | None, typer.Option(help="Wall seconds after which a training is given up.")] = None,
    scoring: Annotated[
        str | None, typer.Option(help="CPU seconds to draw from and score a model (2 x --budget, at least 30).")
    ] = None,
    price: Annotated[float | None, typer.Option(help="Money a CPU hour; without it no cost is shown.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, or 'local'.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try again what failed in an earlier call.")] = False,
    *,
    options: Options,
    as_json: Json = False,
) -> None:
    """Race every family that fits the data, and write the table and the page."""
    from makar.apps.race import race

    race(data, families, budget, seeds, out, workers, n, options, timeout, price, scoring, cluster, retry, as_json)


@app.command()
@takes_data
def train(
    family: Annotated[str, typer.Argument(help="A family's name, or a recipe's TOML file.")],
    data: Annotated[str, typer.Argument(help="digits, text:PATH, csv:PATH, folder:PATH, …")],
    budget: Annotated[
        str, typer.Option(help="20s (CPU), 30s wall, 500 steps, 1e12 flops, '0.05 usd', or several.")
    ] = "20s",
    out: Annotated[
        Path | None, typer.Option(help="Where to write (default: runs/FAMILY-DATA, and the seed where one is given).")
    ] = None,
    seed: Seed = 0,
    settings: Sets = None,
    codec: Codec = None,
    price: Annotated[float | None, typer.Option(help="Money a CPU hour.")] = None,
    threads: Threads = None,
    *,
    options: Options,
    no_chain: NoChain = False,
    score: Annotated[
        int | None, typer.Option(help="Score so many things drawn; the card then shows it.", min=2)
    ] = None,
    as_json: Json = False,
) -> None:
    """Train one model into a bundle. Killed, it goes on where it was; Ctrl-C keeps what is learnt."""
    from makar.apps.workshop import train_one
    from makar.verbs.chain import Chain

    use_threads(threads)
    chain = Chain.here(False if no_chain else None)
    train_one(family, data, options, budget, price, out, seed, settings_from(settings), codec, chain, score, as_json)


@app.command()
def sample(
    model: Annotated[Path, typer.Argument(help="A bundle.")],
    n: Annotated[int, typer.Option("-n", help="How many.", min=1)] = 16,
    label: Annotated[str | None, typer.Option("--class", help="Only of this class.")] = None,
    seed: Seed = 0,
    out: Out = Path("out"),
    sampler: Annotated[str | None, typer.Option(help="A sampler's name; see `makar samplers`.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the sampler, such as --set temperature=0.8.")
    ] = None,
    prompt: Annotated[str, typer.Option(help="Text: how each one begins, in words.")] = "",
    length: Annotated[
        int | None, typer.Option(help="Text: characters at most, the prompt's among them.", min=1)
    ] = None,
    threads: Threads = None,
    no_chain: NoChain = False,
    as_json: Json = False,
) -> None:
    """Draw from a model: pictures, text or rows, each with its receipt, and a grid to look at."""
    from makar.apps.workshop import sample_from
    from makar.verbs.chain import Chain

    use_threads(threads)
    chain = Chain.here(False if no_chain else None)
    sample_from(model, n, label, seed, out, sampler, settings_from(settings), prompt, length, chain, as_json)


@app.command()
@takes_data
def score(
    model: Annotated[Path, typer.Argument(help="A bundle.")],
    data: Annotated[str, typer.Argument(help="The data to score against.")],
    n: Drawn = None,
    seed: Seed = 1,
    threads: Threads = None,
    *,
    options: Options,
    as_json: Json = False,
) -> None:
    """Every metric that applies, with intervals, floor and ceiling."""
    from makar.apps.workshop import score_one

    use_threads(threads)
    score_one(model, data, options, n, seed, as_json)


@app.command()
@takes_data
def stability(
    family: Annotated[str, typer.Argument(help="A family's name, or a recipe's TOML file.")],
    data: Annotated[str, typer.Argument(help="digits, text:PATH, csv:PATH, folder:PATH, …")],
    budget: Annotated[str, typer.Option(help="For each training: 5s (CPU), 500 steps, …")] = "5s",
    seeds: Annotated[int, typer.Option(help="Trainings at each learning rate.", min=1)] = 3,
    n: Drawn = None,
    settings: Set = None,
    threads: Threads = None,
    *,
    options: Options,
    as_json: Json = False,
) -> None:
    """Train at half, once and twice the learning rate with several seeds: how steady is it?"""
    from makar.apps.workshop import show_stability

    use_threads(threads)
    show_stability(family, data, options, budget, seeds, n, settings_from(settings), as_json)


@data_app.command("show")
@takes_data
def data_show(
    data: Annotated[str, typer.Argument(help="digits, text:PATH, csv:PATH, folder:PATH, …")],
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet of pictures here.")] = None,
    *,
    options: Options,
    as_json: Json = False,
) -> None:
    """The manifest: source, licence, counts, splits, digests."""
    from makar.apps.workshop import show_data

    show_data(data, options, sheet, as_json)


@data_app.command("sources")
def data_sources(as_json: Json = False) -> None:
    """What data can be opened."""
    from makar.data import available

    _list(available(), as_json)


def _list(parts: dict[str, str], as_json: bool) -> None:
    width = max(map(len, parts), default=0)
    show(parts, as_json, "\n".join(f"{name:<{width}}  {line}" for name, line in parts.items()) or "none")


def _listing(room: str, what: str) -> None:
    def command(as_json: Json = False) -> None:
        from makar.core import registry

        _list({name: registry.summary(room, name) for name in registry.modules(room)}, as_json)

    command.__doc__ = what
    app.command(room)(command)


_listing("families", "What can be trained, one line each.")
_listing("metrics", "What is measured, one line each.")
_listing("samplers", "Ways to draw, one line each.")
_listing("codecs", "How things become tensors, one line each.")
_listing("watermarks", "Marks in what is made, one line each.")
_listing("recipes", "Published systems as settings, one line each.")


@recipe_app.command("show")
def recipe_show(
    name: Annotated[str, typer.Argument(help="A recipe's name; see `makar recipes`.")],
    size: Annotated[str, typer.Option(help="tiny, laptop or gpu.")] = "laptop",
    as_json: Json = False,
) -> None:
    """Print a recipe as TOML that `makar train` runs."""
    from makar.verbs.recipe import describe, to_toml

    show(describe(name, size), as_json, to_toml(name, size))


@app.command()
def doctor(as_json: Json = False) -> None:
    """The machine, the versions, the extras that are here and those that are not."""
    from makar.apps.doctor import examine, report

    found = examine()
    show(found, as_json, report(found))


# after the commands above, so that what one begins with heads the help
chain.register(app)
governance.register(app)
inquiry.register(app)
governance.register_policy(chain.policy_app)
governance.register_data(data_app)


def _refused(sentence: str) -> SystemExit:
    """Say what was wrong; the exit to raise."""
    if "--json" in sys.argv:
        typer.echo(json.dumps({"error": sentence}, ensure_ascii=False))
    typer.echo(f"makar: {plain(sentence)}", err=True)
    return SystemExit(2)


def main() -> None:
    """The entry point: a user's mistake is one sentence and exit code 2, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files need not be text
    try:
        with quiet():
            app(standalone_mode=True)
    except MakarError as error:
        raise _refused(str(error)) from None
    except KeyboardInterrupt:
        typer.echo("makar: stopped", err=True)
        raise SystemExit(STOPPED) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except Exception as error:
        if os.environ.get("MAKAR_TRACEBACK"):
            raise
        if isinstance(error, OSError):  # the system refuses a path: too long, a folder, unreadable, full
            refused = error.filename or "a file, a folder or a connection"
            raise _refused(f"{refused} cannot be used ({error.strerror or error}); give another or mend it") from None
        if isinstance(error, UnicodeEncodeError):  # lone surrogates come from outside alone
            raise _refused("what was given holds characters that are not Unicode; write it as UTF-8") from None
        typer.echo(
            f"makar: this is a failure of makar, not of yours ({type(error).__name__}: {error}); "
            "run again with MAKAR_TRACEBACK=1 to see where, and please report it",
            err=True,
        )
        raise SystemExit(1) from None

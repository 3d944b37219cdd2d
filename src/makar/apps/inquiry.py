"""Commands of inquiry: attack the chain, breed models on models, explain outputs, detectors, blocked styles.

Each is a thin caller of a verb. What was found wanting is exit code 3; a user's mistake is 2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from makar.apps.chain import DOES_NOT_HOLD, Json, show
from makar.apps.data_options import takes_data

Bundle = Annotated[Path, typer.Argument(help="A bundle.")]
Spec = Annotated[str | None, typer.Option("--data", help="Its data, where this workspace does not remember it.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same outputs.", min=0)]

detector_app = typer.Typer(help="Detectors of synthetic media, which add to an unknown file.", no_args_is_help=True)
style_app = typer.Typer(help="Blocked styles, known by distance to a few works.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of inquiry to the command line."""
    app.add_typer(detector_app, name="detector")
    app.add_typer(style_app, name="style")
    for command in (redteam, inbreed, explain):
        app.command(command.__name__)(command)


def _leave(sound: bool) -> None:
    if not sound:
        raise SystemExit(DOES_NOT_HOLD)


def redteam(
    model: Bundle,
    data: Spec = None,
    out: Annotated[Path | None, typer.Option(help="Write the suite with its evidence here.")] = None,
    against: Annotated[Path | None, typer.Option(help="An earlier suite: say what changed since.")] = None,
    as_json: Json = False,
) -> None:
    """Attack the chain, its readers and filters. Exit code 3: what is new against the old suite, or the chain broke."""
    from makar.apps.inquest import attacked

    facts, words = attacked(model, data, out, against)
    show(facts, as_json, words)
    _leave(facts["holds"])


@takes_data
def inbreed(
    family: Annotated[str, typer.Argument(help="A family's name, or a recipe's TOML file.")],
    data: Annotated[str, typer.Argument(help="digits, text:PATH, csv:PATH, folder:PATH, …")],
    generations: Annotated[int, typer.Option(help="Models, each trained on the last one's outputs.")] = 5,
    keep_real: Annotated[float, typer.Option(help="Share of real items kept in every generation, 0 to 1.")] = 0.0,
    budget: Annotated[str, typer.Option(help="For each training: 20s (CPU), 500 steps, 1e12 flops, …")] = "20s",
    seed: Seed = 0,
    *,
    options: dict[str, Any],
    as_json: Json = False,
) -> None:
    """Train models on what models made: do they lose spread or move away? Exit code 3 where they do."""
    from makar.apps.inquest import bred

    facts, words = bred(family, data, options, generations, keep_real, budget, seed)
    show(facts, as_json, words)
    _leave(facts["finding"] != "alarm")


def explain(
    model: Bundle,
    n: Annotated[int, typer.Option("-n", help="How many outputs.", min=1)] = 1,
    seed: Seed = 0,
    label: Annotated[str | None, typer.Option("--class", help="Only of this class.")] = None,
    out: Annotated[Path | None, typer.Option(help="A folder for the maps of attribution, of pictures.")] = None,
    data: Spec = None,
    as_json: Json = False,
) -> None:
    """What an output is near to, what moved the model, where it looks. Exit code 3 where a random model looks there."""
    from makar.apps.inquest import explained

    facts, words = explained(model, data, n, seed, label, out)
    show(facts, as_json, words)
    _leave(facts["finding"] != "alarm")


@detector_app.command("train")
def detector_train(
    models: Annotated[list[Path], typer.Argument(help="Bundles whose outputs to learn.")],
    data: Annotated[
        str | None, typer.Option(help="Real items; without it, what the first model held out. None trained on count.")
    ] = None,
    n: Annotated[int, typer.Option("-n", help="Outputs of each model.", min=1)] = 400,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Learn to tell outputs from real items, and say where it fails. Exit code 3 where it fails on what it learnt."""
    from makar.apps.inquest import taught

    facts, words = taught(models, data, n, seed)
    show(facts, as_json, words)
    _leave(facts["tells"])


@detector_app.command("show")
def detector_show(as_json: Json = False) -> None:
    """The detectors that are kept here, and how they were judged."""
    from makar.apps.inquest import detectors

    facts, words = detectors()
    show(facts, as_json, words)


@style_app.command("add")
@takes_data
def style_add(
    name: Annotated[str, typer.Argument(help="The style's name, as the policy's `blocked` will have it.")],
    folder: Annotated[Path, typer.Argument(help="A folder of works in this style: pictures, or .txt files.")],
    data: Annotated[str, typer.Option(help="Clean items, of other styles: digits, text:PATH, folder:PATH, …")],
    *,
    options: dict[str, Any],
    as_json: Json = False,
) -> None:
    """Make a style known by a few works of it. Exit code 3 where further works of it would surely pass."""
    from makar.apps.inquest import style_added

    facts, words = style_added(name, folder, data, options)
    show(facts, as_json, words)
    _leave(facts["judged"] is None or facts["judged"]["finding"] != "alarm")


@style_app.command("list")
def style_list(as_json: Json = False) -> None:
    """The styles that are known here by distance, and which of them the policy blocks."""
    from makar.apps.inquest import styles

    facts, words = styles()
    show(facts, as_json, words)

"""Commands of the chain: keys, verify, trace, detect, policy, audit, withdraw, release and what belongs to them.

Each is a thin caller of a verb. What does not hold is exit code 3; a user's mistake is 2.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from makar.core.errors import plain

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")]
Key = Annotated[
    Path | None, typer.Option(help="Public keys to believe instead of the workspace's: a PEM file or a folder.")
]
Bundle = Annotated[Path | None, typer.Option(help="The model's bundle, where this workspace does not know it.")]
Out = Annotated[Path, typer.Option(help="Where to write.")]

DOES_NOT_HOLD = 3

keys_app = typer.Typer(help="Keys that sign, and whom to believe.", no_args_is_help=True)
ledger_app = typer.Typer(help="What was done here, in order.", no_args_is_help=True)
policy_app = typer.Typer(help="This workspace's rules, and what a jurisdiction's profile asks.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the chain's commands to the command line."""
    app.add_typer(keys_app, name="keys")
    app.add_typer(ledger_app, name="ledger")
    app.add_typer(policy_app, name="policy")
    for command in (verify, trace, detect, audit, withdraw, edit, vouch):
        app.command(command.__name__)(command)


def show(value: Any, as_json: bool, words: str) -> None:
    """Print the JSON or the words, of which whatever is no text or line end is made visible."""
    lines = (plain(line) for line in words.split("\n"))
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1) if as_json else "\n".join(lines))


# Keys


@keys_app.command("init")
def keys_init(
    name: Annotated[str, typer.Option(help="Who signs, as others will read it.")] = "makar workspace",
    days: Annotated[int, typer.Option(help="How long the certificates are valid.", min=1)] = 3650,
    as_json: Json = False,
) -> None:
    """Make a certificate chain, a signing key and a watermark secret."""
    from makar.provenance import keys
    from makar.provenance.home import Home
    from makar.verbs.chain import Chain

    home = Home.here()
    made = keys.init(home, name, days)
    Chain.here(on=True).sign_what_was_unsigned()
    words = (
        f"wrote {home.keys}: keys of '{name}', fingerprint {made.fingerprint}; keep this folder secret and backed up\n"
        "What you sign is TRUSTED where your root certificate is believed, and VALID BUT UNTRUSTED everywhere else: "
        "intact, and signed by somebody whom the reader does not know. No authority has looked at who you are.\n"
        "next: makar keys export public/   (what to give to those who are to verify)"
    )
    show({"home": str(home.root), "name": name, "fingerprint": made.fingerprint}, as_json, words)


@keys_app.command("export")
def keys_export(folder: Annotated[Path, typer.Argument(help="A folder to write.")], as_json: Json = False) -> None:
    """Write the public parts: what others need to verify, and nothing secret."""
    from makar.apps.office import own_keys
    from makar.provenance import keys

    keys.export(own_keys(), folder)
    show({"folder": str(folder)}, as_json, f"wrote {folder}: give it to those who are to verify; it holds no secret")


@keys_app.command("rotate")
def keys_rotate(as_json: Json = False) -> None:
    """New signing keys under the same root; what the old ones signed is believed still."""
    from makar.provenance import keys
    from makar.provenance.home import Home

    made = keys.rotate(Home.here())
    show({"fingerprint": made.fingerprint}, as_json, f"the signing key is now {made.fingerprint}")


# Looking back


@keys_app.command("show")
def keys_show(as_json: Json = False) -> None:
    """Who signs here, and whom this workspace believes."""
    from makar.apps.office import keys_facts

    facts, words = keys_facts()
    show(facts, as_json, words)


def verify(
    path: Annotated[Path, typer.Argument(help="An output, a folder of outputs, a bundle, or the word 'ledger'.")],
    bundle: Bundle = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """What holds, what does not, and which key said so. Exit code 3 where something does not hold."""
    from makar.apps.office import verified

    facts, words = verified(path, bundle, key)
    show(facts, as_json, words)
    if not facts["holds"]:
        raise SystemExit(DOES_NOT_HOLD)


def trace(
    path: Annotated[Path, typer.Argument(help="An output or a bundle.")],
    bundle: Bundle = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Walk back: output, receipt, model, run, dataset, source and licence, each digest checked."""
    from makar.verbs import trace as tracing
    from makar.verbs.verify import Verifier

    steps = tracing.trace(path, Verifier.here(key, bundle))
    show([step.to_json() for step in steps], as_json, tracing.words(steps))
    if any(step.digest_ok is False for step in steps):
        raise SystemExit(DOES_NOT_HOLD)


def detect(
    path: Annotated[Path, typer.Argument(help="A file of any origin.")],
    bundle: Annotated[list[Path] | None, typer.Option(help="Further bundles whose marks to look for.")] = None,
    as_json: Json = False,
) -> None:
    """Signed, watermarked or unknown: what is known of a file. Never "real"."""
    from makar.verbs.chain import Chain
    from makar.verbs.detect import detect as look

    found = look(path, Chain.here(), tuple(bundle or ()))
    show(found.to_json(), as_json, plain(f"{found.verdict}: {found.why}"))


def audit(
    model: Annotated[Path, typer.Argument(help="A bundle.")],
    data: Annotated[str | None, typer.Option(help="Its data, where this workspace does not remember it.")] = None,
    only: Annotated[str | None, typer.Option(help="Names with commas; canaries, which trains, must be named.")] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Run the kept audits again and compare the figures.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Copying, extraction, membership, leakage and bias, as numbers with intervals. Exit code 3 at an alarm."""
    from makar.apps.office import audited, audited_again

    if replay:
        facts, words = audited_again(model, data)
        show(facts, as_json, words)
        wrong = not facts["holds"]
    else:
        results, words, wrong = audited(model, data, only)
        show(results, as_json, words)
    if wrong:
        raise SystemExit(DOES_NOT_HOLD)


@ledger_app.command("show")
def ledger_show(
    kind: Annotated[str | None, typer.Option(help="Only entries of this kind, such as model or output.")] = None,
    last: Annotated[int, typer.Option(help="How many, the newest.", min=1)] = 20,
    as_json: Json = False,
) -> None:
    """The newest entries."""
    from makar.apps.office import ledger_entries

    entries, words = ledger_entries(kind, last)
    show(entries, as_json, words)


@ledger_app.command("prove")
def ledger_prove(number: Annotated[int, typer.Argument(help="The entry's number.", min=0)]) -> None:
    """A proof that an entry is in the ledger whose head is signed, as JSON; it is checked with the public key."""
    from makar.verbs.chain import Chain

    ledger = Chain.here(on=True).ledger
    entry = next((e for e in ledger.entries() if e.n == number), None)
    proof = ledger.prove(number)  # refuses a number that there is not
    typer.echo(json.dumps({"entry": entry and entry.line, "proof": proof}, ensure_ascii=False, indent=1))


@ledger_app.command("check")
def ledger_check(
    proof: Annotated[Path, typer.Argument(help="What `makar ledger prove` printed.")],
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Check such a proof with the public key alone. Exit code 3 where it does not hold."""
    from makar.apps.office import proved

    found = proved(proof, key)
    show(found.to_json(), as_json, plain(f"{found.state}: {found.why}"))
    if found.wrong:
        raise SystemExit(DOES_NOT_HOLD)


@ledger_app.command("head")
def ledger_head() -> None:
    """The signed head, as JSON: publish it, and nobody can take back what was entered before it."""
    from makar.apps.office import ledger_head as head

    typer.echo(json.dumps(head(), ensure_ascii=False, indent=1))


# Rules


@policy_app.command("show")
def policy_show(as_json: Json = False) -> None:
    """The rules in force here."""
    from makar.provenance.home import Home
    from makar.provenance.policy import Policy

    policy = Policy.load(Home.here().policy)
    words = [f"{name:<12} {value}" for name, value in policy.model_dump(mode="json").items()]
    show(policy.model_dump(mode="json"), as_json, "\n".join([*words, f"{'digest':<12} {policy.digest()}"]))


def withdraw(
    what: Annotated[str, typer.Argument(help="source:NAME, creator:NAME, item:SHA256 or file:PATH.")],
    why: Annotated[str, typer.Option(help="The reason, for the ledger.")] = "",
    as_json: Json = False,
) -> None:
    """A creator opts out: which datasets, models and outputs are touched. What is loaded from then on leaves it out."""
    from makar.verbs import withdraw as withdrawal
    from makar.verbs.chain import Chain

    touched = withdrawal.withdraw(what, Chain.here(), why)
    show(touched.to_json(), as_json, touched.words())


def edit(
    path: Annotated[Path, typer.Argument(help="A signed file.")],
    out: Out,
    crop: Annotated[str | None, typer.Option(help="LEFT,TOP,WIDTH,HEIGHT in pixels.")] = None,
    resize: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT in pixels.")] = None,
    using: Annotated[Path | None, typer.Option("--with", help="The file as edited elsewhere.")] = None,
    note: Annotated[str, typer.Option(help="What was done, for the ledger.")] = "",
    as_json: Json = False,
) -> None:
    """Change a file and keep its history: what it was stays in the credential of what it is."""
    from makar.apps.office import edited

    written = edited(path, out, crop, resize, using, note)
    show({"file": str(written)}, as_json, f"wrote {written}; makar trace {written} shows its history")


def vouch(
    path: Annotated[Path, typer.Argument(help="A file that no model made.")],
    out: Out,
    kind: Annotated[str, typer.Option(help="digitalCapture, digitalCreation or humanEdits.")] = "digitalCapture",
    as_json: Json = False,
) -> None:
    """Sign a photograph, a recording or a drawing of your own: genuine things can be signed too."""
    from makar.apps.office import vouched

    written = vouched(path, out, kind)
    show({"file": str(written)}, as_json, f"wrote {written}; you vouch for it as {kind}")

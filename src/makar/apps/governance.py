"""Commands of governance: profiles, licences, release, approval, consent, sealing, incidents, safety, access, cards.

Each is a thin caller of a verb. What was asked for and does not hold is exit code 3; a user's mistake is 2.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from makar.apps.authoring import By, author_app
from makar.apps.chain import DOES_NOT_HOLD, Bundle, Json, Key, show
from makar.apps.data_options import takes_data

Use = Literal["private", "research", "commercial"]
Kind = Literal["likeness", "voice", "style"]
Role = Literal["reader", "maker", "trainer", "keeper"]

Data = Annotated[str, typer.Argument(help="digits, text:PATH, csv:PATH, folder:PATH, …")]
KeyFile = Annotated[Path | None, typer.Option(help="A file whose bytes are the key; without it a passphrase is asked.")]
Profiles = Annotated[list[str] | None, typer.Option("--profile", help="A profile's name, or a TOML file of your own.")]

consent_app = typer.Typer(help="Signed permissions to use a likeness, a voice or a style.", no_args_is_help=True)
safety_app = typer.Typer(help="Results of audits, signed, to share and to read.", no_args_is_help=True)
access_app = typer.Typer(help="Keys for those whom you serve, by role; kept as digests.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of governance to the command line."""
    app.add_typer(consent_app, name="consent")
    app.add_typer(author_app, name="author")
    app.add_typer(safety_app, name="safety")
    app.add_typer(access_app, name="access")
    for command in (release, approve, seal, unseal, incident, card, rights):
        app.command(command.__name__)(command)


def register_policy(policy_app: typer.Typer) -> None:
    """Add the commands on profiles to those on the policy."""
    policy_app.command("check")(policy_check)
    policy_app.command("profiles")(policy_profiles)
    policy_app.command("init")(policy_init)


def register_data(data_app: typer.Typer) -> None:
    """Add the scan to the commands on data."""
    data_app.command("scan")(data_scan)


# Rules


def policy_check(
    path: Annotated[Path, typer.Argument(help="A bundle, an output or a folder of outputs.")],
    names: Profiles = None,
    coverage: Annotated[bool, typer.Option("--coverage", help="A table by function of the NIST framework.")] = False,
    as_json: Json = False,
) -> None:
    """What a profile asks, what evidence there is, what is missing. Exit code 3 where that blocks a release."""
    from makar.apps.rules import checked

    plain, words = checked(path, names or (), coverage)
    show(plain, as_json, words)
    if not plain["holds"]:
        raise SystemExit(DOES_NOT_HOLD)


def policy_profiles(as_json: Json = False) -> None:
    """The profiles that come with makar, one line each."""
    from makar.apps.rules import profiles

    facts, words = profiles()
    show(facts, as_json, words)


def policy_init(
    names: Annotated[list[str] | None, typer.Option("--from", help="A profile to switch on, or several.")] = None,
    as_json: Json = False,
) -> None:
    """Write this workspace's policy with every setting and a line on each."""
    from makar.apps.rules import begun

    facts, words = begun(names or ())
    show(facts, as_json, words)


@takes_data
def rights(
    what: Annotated[str, typer.Argument(help="Data, a bundle, or the word 'list' for all licences known here.")],
    use: Annotated[Use | None, typer.Option(help="Ask for this use, and not for training alone.")] = None,
    *,
    options: dict[str, Any],
    as_json: Json = False,
) -> None:
    """What the licences of data allow: to train, to sell the model or what it makes. Exit code 3 where refused."""
    from makar.apps.rules import licences, verdict_on

    if what == "list" and not Path(what).exists():
        known, words = licences()
        show(known, as_json, words)
        return
    facts, words = verdict_on(what, options, use)
    show(facts, as_json, words)
    if not facts["holds"]:
        raise SystemExit(DOES_NOT_HOLD)


def release(
    source: Annotated[Path, typer.Argument(help="A folder of outputs, or one of them.")],
    to: Annotated[Path, typer.Option(help="A new folder for what is let go.")],
    use: Annotated[Use, typer.Option(help="What it is let go for.")],
    bundle: Bundle = None,
    as_json: Json = False,
) -> None:
    """Let outputs go where nothing stands in the way; else say all that does, with exit code 3."""
    from makar.apps.bureau import moment
    from makar.provenance.home import Home
    from makar.verbs import release as gate

    try:
        done = gate.release(source, to, use, Home.here(), moment(), bundle)
    except gate.Refused as refused:
        show({"released": False, "use": use, "reasons": list(refused.reasons)}, as_json, f"makar: {refused}")
        raise SystemExit(DOES_NOT_HOLD) from None
    facts = {"released": True, "use": use, "folder": str(done.folder), "files": list(done.files)}
    show(facts | {"profiles": {r.profile.name: r.counts() for r in done.reports}}, as_json, done.words())


def approve(
    path: Annotated[Path, typer.Argument(help="A file, or a folder of outputs.")],
    by: By,
    reject: Annotated[bool, typer.Option("--reject", help="Reject it, which takes an earlier approval back.")] = False,
    note: Annotated[str, typer.Option(help="The reason, kept with the decision.")] = "",
    as_json: Json = False,
) -> None:
    """Sign, with this workspace's key, that somebody looked at something and approves of it."""
    from makar.apps.bureau import decided

    facts, words = decided(path, by, reject, note)
    show(facts, as_json, words)


# Consent


@consent_app.command("grant")
def consent_grant(
    subject: Annotated[str, typer.Argument(help="Whose likeness, voice or style, as the data's tags name them.")],
    kind: Annotated[Kind, typer.Option(help="What of theirs.")],
    use: Annotated[list[str], typer.Option(help="train, sample, private, research or commercial; or several of them.")],
    of: Annotated[list[str], typer.Option(help="Data or model it is for, by name or digest; '*' for any.")],
    until: Annotated[str, typer.Option(help="When it runs out, such as 2027-12-31T00:00:00Z.")],
    grantor: Annotated[str, typer.Option(help="Who permits it, where it is not the person.")] = "",
    as_json: Json = False,
) -> None:
    """Sign a consent with this workspace's key, and keep it."""
    from makar.apps.bureau import granted

    scope = {"uses": use, "of": of, "until": until}
    facts, words = granted(subject, kind, scope, grantor)
    show(facts, as_json, words)


@consent_app.command("list")
def consent_list(as_json: Json = False) -> None:
    """The consents that are kept here, and how each stands."""
    from makar.apps.bureau import consents

    facts, words = consents()
    show(facts, as_json, words)


@consent_app.command("revoke")
def consent_revoke(
    token: Annotated[str, typer.Argument(help="The token's id, or the start of it; see `makar consent list`.")],
    why: Annotated[str, typer.Option(help="The reason, for the ledger.")] = "",
    as_json: Json = False,
) -> None:
    """Take a consent back."""
    from makar.apps.bureau import taken_back

    facts, words = taken_back(token, why)
    show(facts, as_json, words)


# Sealed models


def seal(
    bundle: Annotated[Path, typer.Argument(help="A bundle, which stays as it is.")],
    to: Annotated[Path, typer.Option(help="A new folder for the sealed copy.")],
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Copy a bundle so that all can read card and records, and only who has the key its weights."""
    from makar.provenance import sealed

    sealed.seal(bundle, to, _secret(key_file, twice=True))
    words = f"wrote {to}: card, records and digests are readable, the weights open only with the key; keep the key safe"
    show({"folder": str(to)}, as_json, words)


def unseal(
    folder: Annotated[Path, typer.Argument(help="A sealed bundle.")],
    to: Annotated[Path, typer.Option(help="A new folder for the bundle as it was.")],
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Open a sealed bundle. Refused for another key, and for anything altered."""
    from makar.provenance import sealed

    sealed.unseal(folder, to, _secret(key_file, twice=False))
    show({"folder": str(to)}, as_json, f"wrote {to}; next: makar verify {to}")


def _secret(key_file: Path | None, twice: bool) -> bytes:
    """The key's bytes, or a passphrase that is asked for and not shown. It is never an argument: others read those."""
    from makar.core.errors import MakarError
    from makar.provenance import sealed

    if key_file is not None:
        return sealed.key_file(key_file)
    if not sys.stdin.isatty():
        raise MakarError("there is no terminal to ask for a passphrase on; give the key in a file with --key-file")
    return sealed.passphrase(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=twice))


# Incidents, safety results, access


def incident(
    path: Annotated[Path, typer.Argument(help="The output that something went wrong with.")],
    what: Annotated[str, typer.Option(help="What happened, in your words.")],
    prompt: Annotated[str | None, typer.Option(help="What was asked for; only its digest is kept.")] = None,
    bundle: Bundle = None,
    as_json: Json = False,
) -> None:
    """Report an incident: output, receipt, run, policy and ledger by their digests, in one folder to send."""
    from makar.apps.bureau import reported

    facts, words = reported(path, what, prompt, bundle)
    show(facts, as_json, words)


@safety_app.command("share")
def safety_share(
    model: Annotated[Path, typer.Argument(help="A bundle, or a model's id.")],
    to: Annotated[Path | None, typer.Option(help="A new file; by default where profiles look for it.")] = None,
    as_json: Json = False,
) -> None:
    """Write the results of a model's audits as one signed file."""
    from makar.apps.bureau import shared

    facts, words = shared(model, to)
    show(facts, as_json, words)


@safety_app.command("read")
def safety_read(
    path: Annotated[Path, typer.Argument(help="A file of safety results.")],
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Read such a file: its verdicts follow from its figures. Exit code 3 where one fails or nobody known signed."""
    from makar.apps.bureau import received

    plain, words = received(path, key)
    show(plain, as_json, words)
    if not plain["holds"]:
        raise SystemExit(DOES_NOT_HOLD)


@access_app.command("grant")
def access_grant(
    name: Annotated[str, typer.Argument(help="Who.")],
    role: Annotated[Role, typer.Option(help="What they may do.")] = "reader",
    a_minute: Annotated[int, typer.Option(help="How often.", min=1)] = 60,
    as_json: Json = False,
) -> None:
    """Make a key for somebody; it is shown this once."""
    from makar.apps.bureau import admitted

    facts, words = admitted(name, role, a_minute)
    show(facts, as_json, words)


@access_app.command("revoke")
def access_revoke(name: Annotated[str, typer.Argument(help="Whose key.")], as_json: Json = False) -> None:
    """Take somebody's key away."""
    from makar.apps.bureau import dismissed

    facts, words = dismissed(name)
    show(facts, as_json, words)


@access_app.command("list")
def access_list(as_json: Json = False) -> None:
    """Who has a key, and what they may do."""
    from makar.apps.bureau import members

    facts, words = members()
    show(facts, as_json, words)


# Documents and data


def card(
    bundle: Annotated[Path, typer.Argument(help="A bundle, which stays as it is.")],
    answers: Annotated[Path | None, typer.Option(help="Your answers, a TOML file; see --questions.")] = None,
    to: Annotated[Path | None, typer.Option(help="A folder to write to; by default where profiles look.")] = None,
    questions: Annotated[bool, typer.Option("--questions", help="Print a file of answers to fill in.")] = False,
    as_json: Json = False,
) -> None:
    """How complete the card is; write card, datasheet, training summary, Annexes XI and XII and registry entry."""
    from makar.provenance.home import Home
    from makar.verbs import papers

    if questions:
        show(papers.questions(), as_json, papers.questionnaire())
        return
    given = papers.answers_in(answers) if answers is not None else {}
    share, missing = papers.completeness(bundle, given)
    written = [str(path) for path in papers.write(bundle, given, Home.here(), to)]
    lines = [f"the card is {share:.0%} complete" + (f"; missing are {len(missing)} fields:" if missing else "")]
    lines += [f"- {field}" for field in missing]
    lines += [f"wrote {path}" for path in written]
    lines.append("Not legal advice. What only you can answer: makar card BUNDLE --questions > answers.toml")
    show({"completeness": share, "missing": missing, "written": written}, as_json, "\n".join(lines))


@takes_data
def data_scan(
    data: Data,
    *,
    options: dict[str, Any],
    as_json: Json = False,
) -> None:
    """Size, balance, duplicates, leaks between the splits, and personal data by kind, before anything is learnt."""
    from makar.data import load
    from makar.verbs.scan import scan

    found = scan(load(data, **options))
    show(found.to_json(), as_json, found.words())

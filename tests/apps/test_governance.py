"""The commands of governance, end to end: what they write, what they refuse, and how they say so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from makar.apps import governance, rules
from makar.core import files
from makar.data.planted import email
from makar.provenance import access, consent, keys, policy, safety, signed
from makar.provenance.access import Access
from makar.provenance.home import Home
from makar.provenance.keys import Anchors
from makar.provenance.policy import Policy
from makar.provenance.safety import Result, Results
from makar.verbs import papers
from tests.apps.test_cli import Call

DOES_NOT_HOLD = 3
WORDS = ("boat", "harbour", "gull", "tide", "rope", "anchor", "sail", "mast", "keel", "lamp", "storm", "calm", "pilot")


def prose(paragraphs: int = 60, words: int = 30, seed: int = 0) -> str:
    chance = np.random.default_rng(seed)
    return "\n\n".join(" ".join(chance.choice(WORDS, words)) for _ in range(paragraphs))


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace without keys: digits `g` and `out`, text under CC0 `n` and `words`, under BY-NC `c` and `nc`."""
    place = tmp_path_factory.mktemp("yard")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAKAR_HOME", str(place / ".makar"))
        patch.chdir(place)
        for name, seed in (("free", 0), ("nc", 1)):
            files.write_text(place / f"{name}.txt", prose(seed=seed))
        for words in (
            ("train", "gaussian", "digits", "--budget", "3 steps", "--out", "g"),
            ("train", "ngram", "text:free.txt", "--licence", "CC0-1.0", "--budget", "3 steps", "--out", "n"),
            ("train", "ngram", "text:nc.txt", "--licence", "CC-BY-NC-4.0", "--budget", "3 steps", "--out", "c"),
            ("sample", "g", "-n", 2, "--out", "out"),
            ("sample", "n", "-n", 2, "--out", "words"),
            ("sample", "c", "-n", 2, "--out", "nc"),
        ):
            with pytest.MonkeyPatch.context() as argv:
                run(argv, words)
        yield place


def run(patch: pytest.MonkeyPatch, words: tuple[object, ...]) -> None:
    from makar.apps import cli

    patch.setattr(sys, "argv", ["makar", *map(str, words), "--json"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert not stopped.value.code, words


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Keys, made once."""
    home = Home(tmp_path_factory.mktemp("keyring"))
    keys.init(home, "Ann")
    return home


@pytest.fixture
def makar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, yard: Path, keyring: Home
) -> Call:
    """A copy of the yard, with keys since its outputs were made."""
    place = tmp_path / "yard"
    shutil.copytree(yard, place)
    for folder in ("keys", "anchors"):
        shutil.copytree(keyring.root / folder, place / ".makar" / folder)
    monkeypatch.setenv("MAKAR_HOME", str(place / ".makar"))
    monkeypatch.chdir(place)
    capsys.readouterr()
    return Call(monkeypatch, capsys)


def told(makar: Call, *words: object, code: int = 0) -> Any:
    """What a command prints as JSON, with the exit code that it must have."""
    found, out, err = makar(*words, "--json")
    assert found == code, err or out
    return json.loads(out)


def refused(makar: Call, *words: object, code: int = 2) -> str:
    """The one sentence of a refusal."""
    found, _, err = makar(*words)
    assert found == code, err
    assert "Traceback" not in err
    return err


def rule(**settings: Any) -> None:
    """The workspace's policy."""
    files.write_text(Home.here().policy, rules.policy_text(Policy.model_validate(settings)))


def trail() -> list[str]:
    """What the ledger has, by kind, after what the yard entered."""
    from makar.verbs.chain import Chain

    return [entry.kind for entry in Chain.here().ledger.entries() if entry.kind not in ("data", "model", "output")]


# The command line


def test_the_choices_are_those_of_the_records() -> None:
    assert get_args(governance.Use) == get_args(policy.Use)
    assert get_args(governance.Kind) == consent.KINDS
    assert get_args(governance.Role) == get_args(access.Role)


def test_listings_and_rules_import_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from makar.apps import cli\n"
        "groups = [[group, '--help'] for group in ('policy', 'consent', 'author', 'safety', 'access', 'release')]\n"
        "for words in (['--help'], *groups, ['policy', 'profiles'], ['policy', 'init'], ['policy', 'show']):\n"
        "    sys.argv = ['makar', *words]\n"
        "    try: cli.main()\n"
        "    except SystemExit as stop: assert not stop.code, words\n"
        "heavy = {'torch', 'sklearn', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    home = os.environ | {"MAKAR_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=home)
    assert done.returncode == 0, done.stderr
    for command in ("consent", "author", "safety", "access", "release", "approve", "seal", "incident", "card"):
        assert command in done.stdout


MISTAKES = [
    ("policy", "check", "nowhere", "--profile", "eu"),
    ("policy", "check", "g"),
    ("policy", "check", "g", "--profile", "eux"),
    ("policy", "init", "--from", "eux"),
    ("release", "nowhere", "--to", "r", "--use", "private"),
    ("release", "g", "--to", "r", "--use", "private"),
    ("release", "words", "--to", "nc", "--use", "private"),
    ("approve", "nowhere", "--by", "Ann"),
    ("consent", "grant", "Jane", "--kind", "voice", "--use", "sell", "--of", "*", "--until", "2999-01-01T00:00:00Z"),
    ("consent", "grant", "Jane", "--kind", "voice", "--use", "train", "--of", "*", "--until", "2001-01-01T00:00:00Z"),
    ("consent", "grant", "Jane", "--kind", "voice", "--use", "train", "--of", "*", "--until", "tomorrow"),
    ("consent", "revoke", "ab"),
    ("author", "accept", "words/9.txt", "--by", "Ann"),
    ("author", "accept", "free.txt", "--by", "Ann"),
    ("author", "edit", "words/000.txt", "--by", "Ann"),
    ("author", "propose", "g"),
    ("author", "prompt", "nowhere", "a boat", "--by", "Ann"),
    ("incident", "nowhere", "--what", "it broke"),
    ("incident", "words/000.txt", "--what", " "),
    ("safety", "share", "n"),
    ("safety", "share", "nowhere"),
    ("safety", "read", "free.txt"),
    ("access", "revoke", "bob"),
    ("seal", "words", "--to", "s", "--key-file", "free.txt"),
    ("seal", "g", "--to", "words", "--key-file", "free.txt"),
    ("seal", "g", "--to", "s", "--key-file", "missing.key"),
    ("seal", "g", "--to", "s"),
    ("unseal", "g", "--to", "s", "--key-file", "free.txt"),
    ("card", "words"),
    ("card", "n", "--answers", "missing.toml"),
    ("card", "n", "--answers", "free.txt"),
    ("rights", "digitz"),
    ("data", "scan", "digitz"),
]


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_a_mistake_is_one_sentence_and_exit_code_two(makar: Call, words: tuple[str, ...]) -> None:
    err = refused(makar, *words)
    assert err.startswith("makar: ")
    assert err.count("\n") == 1


# Policies and profiles


def test_a_policy_begins_with_every_setting_and_a_line_on_each(makar: Call) -> None:
    told(makar, "policy", "init")
    path = Home.here().policy
    text = path.read_text(encoding="utf-8")
    assert Policy.load(path) == Policy()
    assert set(tomllib.loads(text)) == set(Policy.model_fields)
    lines = text.splitlines()
    for name in Policy.model_fields:
        (place,) = [i for i, line in enumerate(lines) if line.startswith(f"{name} = ")]
        assert lines[place - 1].startswith("# ")
    assert "is there already" in refused(makar, "policy", "init", "--from", "eu")
    assert path.read_text(encoding="utf-8") == text


def test_a_policy_can_begin_with_profiles_switched_on(makar: Call) -> None:
    said = told(makar, "policy", "init", "--from", "eu", "--from", "china")
    found = Policy.load(Home.here().policy)
    assert (found.labels, found.profiles, found.watermark) == (["cn", "eu"], ["china", "eu"], "auto")
    assert said["digest"] == found.digest()
    assert told(makar, "policy", "show") == found.model_dump(mode="json")


def test_profiles_are_listed(makar: Call) -> None:
    listed = told(makar, "policy", "profiles")
    assert {"eu", "nist", "china", "company", "voluntary"} <= set(listed)
    code, out, _ = makar("policy", "profiles")
    assert code == 0
    assert len(out.splitlines()) == len(listed) + 1
    assert "Not legal advice." in out


def test_what_a_profile_asks_of_a_model_is_said_with_its_evidence(makar: Call) -> None:
    """GOV-17, GOV-22."""
    code, out, _ = makar("policy", "check", "n", "--profile", "eu")
    assert code == 0, "a model alone lacks nothing that blocks a release of outputs"
    assert "MISSING: 53.1d-summary" in out
    assert out.rstrip().endswith("eu: nothing that blocks a release is missing")
    told(makar, "card", "n")
    (report,) = told(makar, "policy", "check", "n", "--profile", "eu")["reports"]
    (summary,) = [asked for asked in report["requirements"] if asked["id"] == "53.1d-summary"]
    assert summary["outcome"] == "met"
    (where,) = summary["evidence"][0]["where"]
    assert where["sha256"] == signed_sha(Home.here().root / where["name"])


def signed_sha(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_another_profile_asks_for_other_things(makar: Call) -> None:
    """GOV-34: one folder of outputs; which profile is asked decides what blocks."""
    blocking = {
        name: told(makar, "policy", "check", "out", "--profile", name, code=code)["blocking"][name]
        for name, code in (("eu", 3), ("china", 3), ("nist", 0))
    }
    assert "50.2-metadata" in blocking["eu"]
    assert set(blocking["china"]) == {"explicit", "implicit"}
    assert not set(blocking["eu"]) & set(blocking["china"])
    assert blocking["nist"] == []
    both = told(makar, "policy", "check", "out", "--profile", "eu", "--profile", "china", code=3)
    assert both["blocking"] == {name: blocking[name] for name in ("eu", "china")}


def test_switching_the_profile_changes_what_a_release_is_refused_for(makar: Call) -> None:
    """GOV-34, through the policy."""
    reasons = {}
    for name in ("eu", "china"):
        told(makar, "policy", "init", "--from", name)
        found = told(makar, "release", "out", "--to", "r", "--use", "private", code=DOES_NOT_HOLD)["reasons"]
        reasons[name] = {reason for reason in found if reason.startswith(f"{name}: ")}
        assert not told(makar, "policy", "check", "out", code=DOES_NOT_HOLD)["holds"]
        files.remove(Home.here().policy)
    assert any("Article 50(2)" in reason for reason in reasons["eu"])
    assert any("Labelling Measures" in reason for reason in reasons["china"])
    told(makar, "sample", "g", "-n", 2, "--out", "signed")
    told(makar, "release", "signed", "--to", "r", "--use", "private")


def test_a_profile_of_ones_own_is_a_file(makar: Call) -> None:
    text = (
        'name = "ours"\ntitle = "Ours"\njurisdiction = "here"\nstatus = "new"\nsources = ["us"]\n[[requirements]]\n'
        'id = "log"\nduty = "A log"\ncitation = "1"\nevidence = ["approvers"]\nblocks_release = true\nobtain = "Ask."\n'
    )
    files.write_text("ours.toml", text)
    assert told(makar, "policy", "check", "n", "--profile", "ours.toml", code=3)["blocking"] == {"ours": ["log"]}
    rule(approvers=["ab"])
    assert told(makar, "policy", "check", "n", "--profile", "ours.toml")["holds"]


def test_coverage_is_a_table_by_function(makar: Call) -> None:
    """GOV-21."""
    code, out, _ = makar("policy", "check", "n", "--profile", "nist", "--coverage")
    assert code == 0
    assert "| requirement | govern | map | measure | manage | checks | outcome |" in out


# Licences


def test_rights_say_what_is_allowed_and_due(makar: Call) -> None:
    """GOV-9."""
    digits = told(makar, "rights", "digits", "--use", "commercial")
    assert (digits["train"], digits["outputs"], digits["holds"]) == ("yes", "yes", True)
    assert [due["source"] for due in digits["attribution"]] == ["digits"]
    assert told(makar, "rights", "g")["licences"] == digits["licences"]
    code, out, _ = makar("rights", "c", "--use", "commercial")
    assert code == DOES_NOT_HOLD
    assert "commercial use of the model is refused: CC-BY-NC-4.0 in text:nc.txt" in out
    assert told(makar, "rights", "c", "--use", "research")["holds"]
    unknown = told(makar, "rights", "text:free.txt", code=DOES_NOT_HOLD)
    assert "is unknown" in unknown["refusals"]["training"]
    assert told(makar, "rights", "text:free.txt", "--accept", "text:free.txt")["accepted"] == ["text:free.txt"]
    assert told(makar, "rights", "text:free.txt", "--licence", "CC0-1.0")["expression"] == "CC0-1.0"


def test_rights_of_an_altered_bundle_are_refused(makar: Call) -> None:
    text = Path("c/rights.json").read_text().replace("CC-BY-NC-4.0", "CC0-1.0")
    files.write_text("c/rights.json", text)
    assert "does not match its digest" in refused(makar, "rights", "c", "--use", "commercial")


def test_licences_are_listed(makar: Call) -> None:
    listed = told(makar, "rights", "list")
    (nc,) = [entry for entry in listed if any("CC-BY-NC-[" in name for name in entry["ids"])]
    assert nc["non_commercial"]
    assert "Not legal advice." in makar("rights", "list")[1]


# Release and approval


def test_non_commercial_data_are_not_released_for_commerce(makar: Call) -> None:
    """GOV-9: the refusal names the source and its licence."""
    told(makar, "sample", "c", "-n", 2, "--out", "nc")
    said = told(makar, "release", "nc", "--to", "r", "--use", "commercial", code=DOES_NOT_HOLD)
    (reason,) = said["reasons"]
    assert "commercial use of its outputs is refused: CC-BY-NC-4.0 in text:nc.txt" in reason
    assert not Path("r").exists()
    code, out, _ = makar("release", "nc", "--to", "r", "--use", "commercial")
    assert code == DOES_NOT_HOLD
    assert "nothing is released, for 1 reason:" in out
    done = told(makar, "release", "nc", "--to", "r", "--use", "research")
    assert done["files"] == ["000.txt", "001.txt"]
    assert {"000.txt", "001.txt", "release.json", "marking_report.json"} <= {p.name for p in Path("r").iterdir()}
    assert trail() == ["refusal", "refusal", "release"]
    assert "is there already" in refused(makar, "release", "nc", "--to", "r", "--use", "research")


def test_what_the_policy_wants_approved_waits_for_the_approver(makar: Call, keyring: Home) -> None:
    """CORE-18."""
    own = keys.load(keyring)
    assert own is not None
    rule(approvers=[own.fingerprint])
    told(makar, "sample", "n", "-n", 2, "--out", "words")
    said = told(makar, "release", "words", "--to", "r", "--use", "private", code=DOES_NOT_HOLD)
    assert all("has no approval by the approvers" in reason for reason in said["reasons"])
    approved = told(makar, "approve", "words", "--by", "Ann", "--note", "read it")
    assert (approved["decision"], approved["key"]) == ("approve", own.fingerprint)
    told(makar, "release", "words", "--to", "r", "--use", "private")
    told(makar, "approve", "words/001.txt", "--by", "Ann", "--reject")
    said = told(makar, "release", "words", "--to", "r2", "--use", "private", code=DOES_NOT_HOLD)
    assert [reason.split()[0] for reason in said["reasons"]] == ["001.txt"]
    assert trail() == ["refusal", "approval", "approval", "release", "approval", "refusal"]


def test_an_approval_that_counts_for_nothing_says_so(makar: Call) -> None:
    assert "nothing waits for it" in makar("approve", "words", "--by", "Ann")[1]
    rule(approvers=["0" * 16])
    assert "it counts for nothing here" in makar("approve", "words", "--by", "Ann")[1]
    told(makar, "release", "words", "--to", "r", "--use", "private", code=DOES_NOT_HOLD)
    files.remove(Home.here().keys)
    assert "there are no keys" in refused(makar, "approve", "words", "--by", "Ann")


# Consent


def granted(makar: Call, *more: object) -> dict[str, Any]:
    words = ("--kind", "voice", "--use", "train", "--until", "2999-01-01T00:00:00Z", *more)
    found: dict[str, Any] = told(makar, "consent", "grant", "Jane Doe", *words)
    return found


def test_a_voice_is_trained_on_with_consent_alone(makar: Call) -> None:
    """GOV-24."""
    files.write_text("tales/a.txt", prose(20, seed=3))
    files.write_text("tales/b.txt", prose(20, seed=4))
    files.write_text("tales/c.txt", prose(20, seed=5))
    files.write_text("tales/creators.csv", "file,creator,tags\na.txt,Jane Doe,voice:Jane Doe\n")
    train = ("train", "ngram", "text:tales", "--licence", "CC0-1.0", "--budget", "2 steps", "--out", "t")
    assert "voice of Jane Doe is used without consent" in refused(makar, *train)
    granted(makar, "--of", "another")
    assert "is for another only" in refused(makar, *train)
    token = granted(makar, "--of", "text:tales")
    told(makar, *train)
    assert told(makar, "verify", "t")["holds"]
    states = {each["token"]: each["state"] for each in told(makar, "consent", "list")}
    assert states[token["token"]] == "in force"
    told(makar, "consent", "revoke", token["token"][:10], "--why", "a change of mind")
    states = {each["token"]: each["state"] for each in told(makar, "consent", "list")}
    assert states[token["token"]] == "revoked"
    assert trail() == ["consent", "consent", "withdrawal"]


def test_a_consent_taken_back_is_none(makar: Call) -> None:
    files.write_text("tales/a.txt", prose(20, seed=3))
    files.write_text("tales/b.txt", prose(20, seed=4))
    files.write_text("tales/creators.csv", "file,creator,tags\na.txt,Jane Doe,voice:Jane Doe\nb.txt,J,voice:Jane Doe\n")
    token = granted(makar, "--of", "*")
    told(makar, "consent", "revoke", token["token"])
    train = ("train", "ngram", "text:tales", "--licence", "CC0-1.0", "--budget", "2 steps", "--out", "t")
    assert "was revoked" in refused(makar, *train)


def test_a_consent_that_was_altered_is_listed_as_such(makar: Call) -> None:
    token = granted(makar, "--of", "*")
    plain = json.loads(Path(token["file"]).read_text())
    plain["scope"]["uses"] = ["train", "commercial"]
    files.write_json(token["file"], plain)
    (found,) = told(makar, "consent", "list")
    assert found["state"] == "not signed by a key known here, or altered"


# Authorship


def test_the_part_of_a_person_is_recorded(makar: Call) -> None:
    """GOV-11."""
    told(makar, "author", "prompt", "words", "a tale of gulls", "--by", "Ann")
    told(makar, "author", "propose", "words")
    told(makar, "author", "accept", "words/000.txt", "--by", "Ann")
    files.write_text("words/001.txt", "the gulls, by hand")
    told(makar, "author", "edit", "words/001.txt", "--by", "Ann", "--what", "written anew")
    told(makar, "author", "select", "words/000.txt", "words/001.txt", "--by", "Ann")
    shown = told(makar, "author", "show", "words")
    assert [e["step"] for e in shown["entries"]] == [
        "prompt", "propose", "propose", "accept", "edit", "select", "select",
    ]  # fmt: skip
    assert shown["decisions"] == {"000.txt": "accept", "001.txt": "edit"}
    code, out, _ = makar("author", "show", "words", "--markdown")
    assert code == 0
    assert "| edit | Ann | 001.txt |" in out
    assert "tale of gulls" not in out + Path("words/authorship.jsonl").read_text()


def test_deciding_records_first_what_the_machine_made(makar: Call) -> None:
    told(makar, "author", "reject", "words/000.txt", "--by", "Ann")
    assert [e["step"] for e in told(makar, "author", "show", "words")["entries"]] == ["propose", "reject"]
    files.write_text("words/001.txt", "by hand")
    assert "changed before it was recorded" in refused(makar, "author", "accept", "words/001.txt", "--by", "Ann")


def test_a_blocked_prompt_is_refused_and_nothing_is_recorded(makar: Call) -> None:
    """GOV-26."""
    rule(blocked=["Van Gogh"])
    err = refused(makar, "author", "prompt", "words", "a field by v4n g0gh", "--by", "Ann")
    assert "the prompt holds what the policy blocks: Van Gogh" in err
    assert not Path("words/authorship.jsonl").exists()
    told(makar, "author", "prompt", "words", "a field by nobody", "--by", "Ann")


def test_a_policy_may_keep_the_words_of_a_prompt(makar: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    rule(prompt="text")
    monkeypatch.setattr(sys, "stdin", io.StringIO("from standard input"))
    told(makar, "author", "prompt", "words", "-", "--by", "Ann")
    (entry,) = told(makar, "author", "show", "words")["entries"]
    assert entry["text"] == "from standard input"


def test_an_altered_record_does_not_hold(makar: Call) -> None:
    told(makar, "author", "show", "words", code=DOES_NOT_HOLD)
    told(makar, "author", "accept", "words/000.txt", "--by", "Ann")
    path = Path("words/authorship.jsonl")
    files.write_text(path, path.read_text().replace("Ann", "Bob"))
    assert not told(makar, "author", "show", "words", code=DOES_NOT_HOLD)["holds"]
    assert makar("author", "show", "words", "--markdown")[0] == DOES_NOT_HOLD
    assert "was altered" in refused(makar, "author", "select", "words/000.txt", "--by", "Ann")


# Sealed models


def contents(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_a_sealed_model_opens_with_its_key_alone(makar: Call) -> None:
    """GOV-36."""
    files.write_bytes("k.key", bytes(range(32)))
    files.write_bytes("other.key", bytes(range(1, 33)))
    told(makar, "seal", "g", "--to", "s", "--key-file", "k.key")
    before, after = contents("g"), contents("s")
    assert set(before) - set(after) == {"model.safetensors"}
    assert set(after) - set(before) == {"model.safetensors.sealed", "seal.json"}
    assert all(after[name] == data for name, data in before.items() if name in after)
    assert before["model.safetensors"][:64] not in b"".join(after.values())
    refused(makar, "sample", "s", "-n", "1", "--out", "o")
    assert not Path("o").exists()
    assert "the key is another" in refused(makar, "unseal", "s", "--to", "u", "--key-file", "other.key")
    assert not Path("u").exists()
    assert told(makar, "rights", "s")["expression"] == "CC-BY-4.0", "card and records are for all to read"
    told(makar, "unseal", "s", "--to", "u", "--key-file", "k.key")
    assert contents("u") == before


def test_a_passphrase_is_asked_for(makar: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    answers = iter(["short", "a long passphrase", "another passphrase", "a long passphrase"])

    def prompt(_: str, **given: Any) -> str:
        asked.append(given)
        return next(answers)

    monkeypatch.setattr("typer.prompt", prompt)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert "too short" in refused(makar, "seal", "g", "--to", "s")
    told(makar, "seal", "g", "--to", "s")
    assert "the key is another" in refused(makar, "unseal", "s", "--to", "u")
    told(makar, "unseal", "s", "--to", "u")
    assert [given["confirmation_prompt"] for given in asked] == [True, True, False, False]
    assert all(given["hide_input"] for given in asked)


# Incidents


def test_an_incident_is_kept_by_digests(makar: Call) -> None:
    """GOV-33."""
    said = told(makar, "incident", "words/000.txt", "--what", "it insults the pilot", "--prompt", "insult the pilot")
    folder = Path(said["folder"])
    report = json.loads((folder / "incident.json").read_text())
    assert report["note"] == "it insults the pilot"
    assert report["output"]["sha256"] == signed_sha(Path("words/000.txt"))
    assert report["run"]["model"] == json.loads(Path("n/config.json").read_text())["id"]
    assert report["run"]["record"] == signed_sha(Path("n/run.json")), "the ledger knows where the model is"
    assert report["receipt"]["model"] == report["run"]["model"]
    assert report["ledger"]["entries"] > 0
    kept = (folder / "incident.json").read_text() + (folder / "incident.md").read_text()
    assert "insult the pilot" not in kept
    assert Path("words/000.txt").read_text()[:40] not in kept
    assert trail() == ["incident"]


def test_an_incident_with_a_file_of_unknown_origin_says_so(makar: Call) -> None:
    said = told(makar, "incident", "free.txt", "--what", "found on the web")
    assert said["receipt"] is None
    assert said["run"] == {"model": "", "record": ""}


# Safety results


def audited(high: float = 0.1) -> None:
    model = json.loads(Path("n/config.json").read_text())["id"]
    figures = [
        Result(audit="copying", name="share", figure=0.05, low=0.01, high=high, n=100, threshold=0.2),
        Result(audit="bias", name="gap", figure=0.1, low=0.0, high=0.3, n=50),
    ]
    safety.keep(Results(model=model, time="2026-11-22T10:00:00Z", results=figures), Home.here())


def test_shared_results_give_the_same_verdicts_elsewhere(makar: Call, keyring: Home) -> None:
    """GOV-19, GOV-35."""
    audited()
    said = told(makar, "safety", "share", "n", "--to", "share.json")
    assert said["figures"] == 2
    read = told(makar, "safety", "read", "share.json")
    assert read["verdicts"] == {"copying: share": "holds", "bias: gap": "reported"}
    public = keyring.anchors
    files.remove(Home.here().root)
    assert not told(makar, "safety", "read", "share.json", code=DOES_NOT_HOLD)["holds"], "a stranger knows no key"
    again = told(makar, "safety", "read", "share.json", "--key", public)
    assert again["verdicts"] == read["verdicts"]
    plain = json.loads(Path("share.json").read_text())
    plain["results"][0]["high"] = 0.06
    files.write_json("share.json", plain)
    assert told(makar, "safety", "read", "share.json", "--key", public, code=DOES_NOT_HOLD)["signer"] is None


def test_shared_results_are_where_profiles_look(makar: Call) -> None:
    """GOV-23."""
    audited()
    for _ in range(2):  # newer audits replace what was shared before
        told(makar, "safety", "share", "n")
    (report,) = told(makar, "policy", "check", "n", "--profile", "voluntary", code=DOES_NOT_HOLD)["reports"]
    outcomes = {asked["id"]: asked["outcome"] for asked in report["requirements"]}
    assert outcomes["sharing"] == outcomes["bias"] == "met"


def test_a_figure_that_fails_is_exit_code_three(makar: Call) -> None:
    model = json.loads(Path("n/config.json").read_text())["id"]
    bad = Result(audit="copying", name="share", figure=0.5, low=0.4, high=0.6, n=100, threshold=0.2)
    safety.keep(Results(model=model, time="2026-11-22T10:00:00Z", results=[bad]), Home.here())
    told(makar, "safety", "share", model, "--to", "share.json")
    code, out, _ = makar("safety", "read", "share.json")
    assert code == DOES_NOT_HOLD
    assert "| fails |" in out


# Access


def test_a_key_is_shown_once_and_opens_what_its_role_may(makar: Call) -> None:
    """GOV-25."""
    key = told(makar, "access", "grant", "bob", "--role", "maker", "--a-minute", "5")["key"]
    assert "already" in refused(makar, "access", "grant", "bob")
    (member,) = told(makar, "access", "list")
    assert member == {"name": "bob", "role": "maker", "a_minute": 5}
    home = Home.here()
    assert not [p for p in home.root.rglob("*") if p.is_file() and key.encode() in p.read_bytes()]
    assert Access.of(home).require(key, "sample", datetime.now(UTC)).name == "bob"
    with pytest.raises(Exception, match="may not train"):
        Access.of(home).require(key, "train", datetime.now(UTC))
    told(makar, "access", "revoke", "bob")
    assert told(makar, "access", "list") == []
    with pytest.raises(Exception, match="nobody's"):
        Access.of(home).require(key, "sample", datetime.now(UTC))
    assert refused(makar, "access", "grant", "eve", "--role", "owner")


# Cards and other documents


def test_questions_are_a_file_that_can_be_filled_in(makar: Call) -> None:
    code, out, _ = makar("card", "n", "--questions")
    assert code == 0
    asked = {f"{table}.{key}" for table, keys_ in tomllib.loads(out).items() for key in keys_}
    assert asked == set(papers.questions())
    files.write_text("answers.toml", out)
    empty = told(makar, "card", "n", "--answers", "answers.toml")
    assert empty["completeness"] == told(makar, "card", "n")["completeness"], "an empty answer is none"


def test_answers_fill_the_documents_and_leave_the_bundle_alone(makar: Call) -> None:
    """GOV-15, GOV-16, GOV-17, GOV-20."""
    before = contents("n")
    bare = told(makar, "card", "n")
    assert "card.ethics" in bare["missing"]
    assert {Path(p).parent for p in bare["written"]} == {Home.here().root / "documents" / model_of("n")[:12]}
    files.write_text(
        "answers.toml",
        '[card]\nethics = "2 people looked at 100 tales"\n[provider]\nname = "The Yard"\n[annex]\ntasks = "tales"\n'
        '[motivation]\npurpose = "to test"\n[registry]\nprovider = "The Yard Ltd"\n',
    )
    full = told(makar, "card", "n", "--answers", "answers.toml", "--to", "docs")
    assert full["completeness"] > bare["completeness"]
    assert "card.ethics" not in full["missing"]
    docs = {path.name: path.read_text(encoding="utf-8") for path in Path("docs").iterdir()}
    assert set(docs) == {
        "card.md", "datasheet.md", "training_summary.md", "training_summary.json", "annex_xi.md", "annex_xii.md",
        "registry_cn.json",
    }  # fmt: skip
    for name, answer in (
        ("card.md", "2 people looked at 100 tales"), ("datasheet.md", "to test"), ("training_summary.md", "The Yard"),
        ("annex_xi.md", "tales"), ("annex_xii.md", "tales"), ("registry_cn.json", "The Yard Ltd"),
    ):  # fmt: skip
        assert answer in docs[name], name
    assert json.loads(docs["registry_cn.json"])["security assessment"] == "not answered"
    assert "size band (to be taken from the official annex)" in json.loads(docs["training_summary.json"])["not_filled"]
    assert contents("n") == before


def model_of(bundle: str) -> str:
    return str(json.loads(Path(bundle, "config.json").read_text())["id"])


def test_an_answer_that_nobody_asks_for_is_refused(makar: Call) -> None:
    files.write_text("answers.toml", '[card]\nethic = "x"\n')
    assert "did you mean 'card.ethics'" in refused(makar, "card", "n", "--answers", "answers.toml")


def test_documents_of_an_altered_bundle_are_refused(makar: Call) -> None:
    run_ = json.loads(Path("n/run.json").read_text())
    files.write_json("n/run.json", run_ | {"flops": 1.0})
    assert "does not match its digest" in refused(makar, "card", "n")


def test_an_id_that_is_a_path_leads_nowhere(makar: Call) -> None:
    """A bundle that somebody else wrote names a folder outside of the workspace as its model."""
    config = json.loads(Path("n/config.json").read_text()) | {"id": "../../../oh/" + "0" * 52}
    files.write_json("n/config.json", config)
    digests = json.loads(Path("n/digests.json").read_text())
    files.write_json("n/digests.json", digests | {"config.json": signed_sha(Path("n/config.json"))})
    assert "names no model by its id" in refused(makar, "card", "n")
    assert "names no model by its id" in refused(makar, "safety", "share", "n")


# Scans of data


def test_a_scan_finds_what_was_planted_and_repeats_none_of_it(makar: Call) -> None:
    """DAT-22, DAT-23."""
    import random

    chance = random.Random(0)
    secrets = [email(chance) for _ in range(6)]
    texts = prose(12, seed=7).split("\n\n")
    for i, text in enumerate(texts[:8]):
        files.write_text(f"t/train/{i}.txt", f"{text} write to {secrets[i]} today" if i < 6 else text)
    for i, text in enumerate(texts[8:]):
        files.write_text(f"t/test/{i}.txt", text)
    files.write_text("t/test/leak.txt", "something else entirely: " + " ".join(texts[7].split()[3:25]))
    found = told(makar, "data", "scan", "text:t", "--licence", "CC0-1.0")
    assert found["items"] == {"train": 8, "held_out": 5}
    assert found["personal"] == {"email": 6}
    assert {each["item"] for each in found["personal_items"]} == {
        signed_sha(Path(f"t/train/{i}.txt")) for i in range(6)
    }
    leaks = {leak["check"]: leak["found"] for leak in found["leaks"]}
    assert leaks == {"exact": 0, "13 words": 1, "50 characters": 1}
    code, out, _ = makar("data", "scan", "text:t", "--licence", "CC0-1.0")
    assert code == 0
    assert "6 email, in 6 items" in out
    assert not [secret for secret in secrets if secret in out + json.dumps(found)]


def test_a_scan_of_clean_data_raises_no_alarm(makar: Call) -> None:
    found = told(makar, "data", "scan", "text:free.txt", "--licence", "CC0-1.0")
    assert found["personal"] == {}
    assert found["duplicates"] == 0
    assert "no proof that there is nothing" in makar("data", "scan", "text:free.txt", "--licence", "CC0-1.0")[1]


def test_a_scan_measures_size_balance_and_entropy(makar: Call) -> None:
    """DAT-24, against known answers: two classes at 3 to 1, four colours alike."""
    rows = [f"{i},{'abcd'[i % 4]},{'rare' if i % 8 < 2 else 'common'}" for i in range(64)]
    files.write_text("table.csv", "\n".join(["size,colour,kind", *rows, "0,a,rare", ""]))
    found = told(makar, "data", "scan", "csv:table.csv", "--label", "kind", "--licence", "CC0-1.0")
    assert sum(found["items"].values()) == 65
    assert found["duplicates"] == 1
    assert found["classes"] == {"common": 48, "rare": 17}
    p = 17 / 65
    assert found["class_entropy"] == pytest.approx(-p * np.log2(p) - (1 - p) * np.log2(1 - p))
    assert found["balance"] == found["class_entropy"]
    counts = np.array([17, 16, 16, 16]) / 65
    assert found["symbol_entropy"]["entry of 'colour'"] == pytest.approx(-(counts * np.log2(counts)).sum())
    digits = told(makar, "data", "scan", "digits")
    assert (digits["size"], digits["unit"], len(digits["classes"])) == (1797 * 64, "pixels", 10)
    assert 0.999 < digits["balance"] <= 1.0
    assert 0 < digits["symbol_entropy"]["pixel value"] < np.log2(17)


def test_where_there_are_keys_outputs_that_nobody_signed_are_kept(makar: Call) -> None:
    said = told(makar, "release", "out", "--to", "r", "--use", "private", code=DOES_NOT_HOLD)
    assert all("neither a credential" in reason for reason in said["reasons"])


def test_where_there_are_none_the_ledger_vouches(makar: Call) -> None:
    files.remove(Home.here().keys)
    files.remove(Home.here().root / "anchors")
    assert told(makar, "release", "out", "--to", "r", "--use", "private")["files"] == ["000.png", "001.png"]


def test_signed_outputs_are_let_go(makar: Call) -> None:
    """A credential of a key known here vouches for the receipt."""
    told(makar, "sample", "g", "-n", "2", "--seed", "5", "--out", "vouched")
    told(makar, "release", "vouched", "--to", "r", "--use", "commercial")
    assert signed.signer(
        json.loads(Path("r/release.json").read_text()), "release", signed.known_to(Anchors.of(Home.here()))
    )

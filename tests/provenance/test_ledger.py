"""The ledger: every line times every mutation is found, every crash leaves it whole, and proofs go without it."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makar.core import files
from makar.core.errors import MakarError
from makar.provenance import keys, ledger, ledger_check
from makar.provenance.entries import Entry, Head, digest, parsed
from makar.provenance.findings import Finding, holds
from makar.provenance.home import Home
from makar.provenance.ledger import Ledger
from tests.core.test_files import Faulty


@dataclass(frozen=True)
class Toy:
    """A signer whose signatures cost nothing; the checker holds the same secret."""

    secret: str

    @property
    def fingerprint(self) -> str:
        return sha256(self.secret.encode()).hexdigest()[:16]

    def sign(self, data: bytes) -> str:
        return sha256(self.secret.encode() + b"\0" + data).hexdigest()


@dataclass(frozen=True)
class Known:
    """Believes some toys."""

    toys: tuple[Toy, ...]

    def check(self, data: bytes, signature: str) -> str | None:
        return next((toy.fingerprint for toy in self.toys if toy.sign(data) == signature), None)


OURS, STRANGER = Toy("ours"), Toy("stranger")
US = Known((OURS,))
BATCHES = (1, 3, 4, 4)
SIZE = sum(BATCHES)
NUMBERS = range(SIZE)


def body(n: int) -> dict[str, Any]:
    return {"file": f"out/{n}.png", "seed": n, "deep": {"é": [1.5, None, "\ud800"]}}


def fill(folder: Path, signer: Toy | None = OURS, segment: int = 700) -> Ledger:
    """Twelve entries in four batches and several segments."""
    made = Ledger(folder, signer, segment)
    n = 0
    for batch in BATCHES:
        made.append_all([("output", body(i)) for i in range(n, n + batch)])
        n += batch
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger that tests copy before they change it."""
    return fill(tmp_path_factory.mktemp("whole") / "ledger").folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "ledger")
    return tmp_path / "ledger"


def read(folder: Path) -> list[str]:
    return [line for path in sorted(folder.glob("[0-9]*.jsonl")) for line in path.read_text().splitlines()]


def write(folder: Path, lines: list[str]) -> None:
    """All entries in one file: segments may be of any size."""
    for path in folder.glob("[0-9]*.jsonl"):
        path.unlink()
    (folder / "000000.jsonl").write_text("".join(f"{line}\n" for line in lines))


def named(findings: list[Finding]) -> str:
    return " | ".join(f"{f.what}: {f.state}: {f.why}" for f in findings)


def found(folder: Path, number: int | None = None, check: Known | None = US) -> None:
    """The ledger does not hold, something says why in one sentence, and the entry's number is named."""
    findings = Ledger(folder).verify(check)
    assert not holds(findings), named(findings)
    wrong = [f for f in findings if f.wrong]
    assert all(f.why and "\n" not in f.why for f in wrong)
    if number is not None:
        assert any(f.what == f"ledger entry {number}" for f in wrong), named(wrong)


def test_a_clean_ledger_holds_and_says_who_signed(whole: Path) -> None:
    findings = Ledger(whole).verify(US)
    assert holds(findings), named(findings)
    assert {f.state for f in findings} == {"holds"}
    assert OURS.fingerprint in findings[-1].why
    assert len(list(whole.glob("[0-9]*.jsonl"))) > 3, "it rotates"


def test_entries_come_back_as_they_were_entered(whole: Path) -> None:
    entries = list(Ledger(whole).entries())
    assert [entry.n for entry in entries] == list(NUMBERS)
    assert [entry.body for entry in entries] == [body(n) for n in NUMBERS]
    assert entries[0].prev == "0" * 64
    assert all(b.prev == digest(a.line.encode()) for a, b in itertools.pairwise(entries))
    assert [entry.line for entry in entries] == read(whole)


def test_entries_of_one_kind(tmp_path: Path) -> None:
    made = Ledger(tmp_path / "ledger")
    for n in range(6):
        made.append("model" if n % 3 == 0 else "output", {})
    assert [entry.n for entry in made.entries("model")] == [0, 3]


# --- every line times every mutation ----------------------------------------------------------------------------------


def changed(line: str, field: str) -> str:
    plain = json.loads(line)
    plain[field] = {
        "n": plain["n"] + 1,
        "time": "1999-01-01T00:00:00.000+00:00",
        "kind": "other",
        "body": plain["body"] | {"seed": -1},
        "prev": "f" * 64,
    }[field]
    return Entry.make(**plain).line


def planted(line: str) -> str:
    """An entry that a stranger puts before this one, with the number and the link that fit there."""
    plain = json.loads(line)
    return Entry.make(plain["n"], plain["time"], "output", {"planted": True}, plain["prev"]).line


MUTATIONS: dict[str, Callable[[list[str], int], list[str]]] = {
    "removed": lambda x, i: x[:i] + x[i + 1 :],
    "added before": lambda x, i: [*x[:i], planted(x[i]), *x[i:]],
    "repeated": lambda x, i: [*x[: i + 1], *x[i:]],
    "swapped with the next": lambda x, i: [*x[:i], *x[i : i + 2][::-1], *x[i + 2 :]],
    "moved to the end": lambda x, i: [*x[:i], *x[i + 1 :], x[i]],
    "replaced by the one before": lambda x, i: [*x[:i], x[i - 1], *x[i + 1 :]],
    "emptied": lambda x, i: [*x[:i], "", *x[i + 1 :]],
    "cut in half": lambda x, i: [*x[:i], x[i][: len(x[i]) // 2], *x[i + 1 :]],
    "with a space": lambda x, i: [*x[:i], x[i].replace('"kind":', '"kind": '), *x[i + 1 :]],
    "not JSON": lambda x, i: [*x[:i], x[i].replace('"body":{', '"body":{{'), *x[i + 1 :]],
    "deeply nested": lambda x, i: [*x[:i], "[" * 100_000, *x[i + 1 :]],
    **{
        f"{field} changed": lambda x, i, field=field: [*x[:i], changed(x[i], field), *x[i + 1 :]]  # type: ignore[misc]
        for field in ("n", "time", "kind", "body", "prev")
    },
}
# A swap with nothing and a move of the last to the end change nothing; the first has none before it.
SAME = {("swapped with the next", SIZE - 1), ("moved to the end", SIZE - 1), ("replaced by the one before", 0)}


@pytest.mark.parametrize("kind", MUTATIONS)
def test_every_mutation_of_every_entry_is_found_by_its_number(copy: Path, kind: str) -> None:
    lines = read(copy)
    write(copy, lines)
    assert holds(Ledger(copy).verify(US)), "in one file it is still clean"
    for i in NUMBERS:
        if (kind, i) not in SAME:
            write(copy, MUTATIONS[kind](lines, i))
            found(copy, max(i - 1, 0) if kind == "prev changed" else i)


@pytest.mark.parametrize("i", NUMBERS)
def test_an_entry_rewritten_with_all_links_after_it_is_found(copy: Path, i: int) -> None:
    lines = read(copy)
    for n in range(i, SIZE):
        plain = json.loads(lines[n])
        plain["prev"] = digest(lines[n - 1].encode()) if n else plain["prev"]
        plain["kind"] = "other" if n == i else plain["kind"]
        lines[n] = Entry.make(**plain).line
    write(copy, lines)
    found(copy)
    wrong = next(f for f in Ledger(copy).verify(US) if f.wrong)
    assert i <= int(wrong.what.split()[-1]) < i + max(BATCHES), "named is the last entry of the batch that it is in"


@pytest.mark.parametrize("mutation", ["alter", "remove", "shorten"])
def test_unsigned_the_same_holds_for_mistakes(tmp_path: Path, mutation: str) -> None:
    """Without a key nothing keeps a rewriter out, but what does not fit together is found."""
    folder = fill(tmp_path / "ledger", None).folder
    findings = Ledger(folder).verify()
    assert holds(findings)
    assert [f.state for f in findings] == ["holds", "absent"]
    lines = read(folder)
    for i in NUMBERS:
        change = {"alter": [*lines[:i], changed(lines[i], "body"), *lines[i + 1 :]]}
        write(folder, change.get(mutation, lines[:i] + lines[i + 1 :] if mutation == "remove" else lines[:i]))
        found(folder, i, None)


def test_every_missing_segment_is_found(whole: Path, tmp_path: Path) -> None:
    for path in sorted(whole.glob("[0-9]*.jsonl")):
        shutil.rmtree(tmp_path / "ledger", ignore_errors=True)
        shutil.copytree(whole, tmp_path / "ledger")
        (tmp_path / "ledger" / path.name).unlink()
        found(tmp_path / "ledger", int(path.stem))


def test_a_segment_that_is_a_link_or_a_pipe_is_missing(copy: Path) -> None:
    path = copy / "000000.jsonl"
    path.rename(copy.parent / "elsewhere")
    path.symlink_to(copy.parent / "elsewhere")
    found(copy, 0)
    path.unlink()
    os.mkfifo(path)
    found(copy, 0)


# --- heads ------------------------------------------------------------------------------------------------------------


def heads(folder: Path) -> list[str]:
    return (folder / "heads.jsonl").read_text().splitlines()


def write_heads(folder: Path, lines: list[str]) -> None:
    (folder / "heads.jsonl").write_text("".join(f"{line}\n" for line in lines))


def altered(line: str, field: str) -> str:
    plain = json.loads(line)
    value = plain[field]
    if field == "size":
        plain[field] = value + 1
    elif field == "frontier":
        plain[field] = [*value[:-1], "e" * 64]
    elif field == "time":
        plain[field] = "1999-01-01T00:00:00.000+00:00"
    else:
        plain[field] = ("0" if value[0] != "0" else "1") + value[1:]
    return json.dumps(plain, separators=(",", ":"))


@pytest.mark.parametrize("i", range(len(BATCHES)))
def test_every_mutation_of_every_head_is_found(copy: Path, i: int) -> None:
    lines = heads(copy)
    ways = {field: [*lines[:i], altered(lines[i], field), *lines[i + 1 :]] for field in json.loads(lines[i])}
    ways |= {name: MUTATIONS[name](lines, i) for name in ("removed", "repeated", "emptied", "cut in half")}
    ways |= {"deep": MUTATIONS["deeply nested"](lines, i)}
    if i:
        ways["older"] = MUTATIONS["replaced by the one before"](lines, i)
        ways["swapped"] = MUTATIONS["swapped with the next"](lines, i - 1)
    for name, way in ways.items():
        write_heads(copy, way)
        findings = Ledger(copy).verify(US)
        assert not holds(findings), f"{name}: {named(findings)}"


def test_no_heads_at_all_is_found_where_there_are_keys(copy: Path) -> None:
    (copy / "heads.jsonl").unlink()
    found(copy)
    assert holds(Ledger(copy).verify(None)), "without keys it is an unsigned ledger"


@pytest.mark.parametrize("name", [OURS.fingerprint, STRANGER.fingerprint], ids=["under our name", "under its own"])
def test_a_head_that_a_stranger_signed_is_found(copy: Path, name: str) -> None:
    @dataclass(frozen=True)
    class Pretender:
        fingerprint: str

        def sign(self, data: bytes) -> str:
            return STRANGER.sign(data)

    Ledger(copy, Pretender(name)).append("output", {"planted": True})
    found(copy)


def test_a_stranger_between_our_heads_is_found(copy: Path) -> None:
    Ledger(copy, STRANGER).append("output", {"planted": True})
    Ledger(copy, OURS).append("output", {})
    findings = Ledger(copy).verify(US)
    assert not holds(findings)
    assert any(f.what == f"ledger head at {SIZE + 1} entries" for f in findings), named(findings)
    assert holds(Ledger(copy).verify(Known((STRANGER, OURS)))), "unless it is believed: keys change hands"


def test_a_rewriter_who_makes_new_heads_is_found(copy: Path) -> None:
    """Everything is made anew, links, roots and heads, by someone without the key."""
    shutil.rmtree(copy)
    for signer in (None, STRANGER):
        fill(copy, signer)
        found(copy)
        shutil.rmtree(copy)


def test_without_a_public_key_a_signed_ledger_is_not_said_to_hold(whole: Path) -> None:
    findings = Ledger(whole).verify(None)
    assert not holds(findings)
    assert findings[-1].state == "unknown"


def inject(folder: Path) -> None:
    """Put an entry in at the end, as whoever can write there can."""
    last = list(Ledger(folder).entries())[-1]
    line = Entry.make(last.n + 1, last.time, "output", {}, digest(last.line.encode())).line
    with open(sorted(folder.glob("[0-9]*.jsonl"))[-1], "a") as file:
        file.write(line + "\n")


def late(folder: Path) -> list[str]:
    """Entries that are said to have been signed later than they were written; the ledger holds."""
    findings = Ledger(folder).verify(US)
    assert holds(findings), named(findings)
    return [f.what for f in findings if f.state == "unknown"]


def test_entries_put_in_after_the_last_head_are_named_for_ever(copy: Path) -> None:
    inject(copy)
    inject(copy)
    found(copy, SIZE)
    mine = Ledger(copy, OURS).append("output", {})
    assert (mine.n, mine.kind) == (SIZE + 3, "output"), "what the writer is told of is what he entered"
    recovered = list(Ledger(copy).entries("recovered"))
    assert [(e.n, e.body) for e in recovered] == [(SIZE + 2, {"from": SIZE, "to": SIZE + 1})]
    Ledger(copy, OURS).append("output", {})
    assert late(copy) == [f"ledger entries {SIZE} to {SIZE + 1}"]
    inject(copy)
    Ledger(copy, OURS).seal()
    assert late(copy) == [f"ledger entries {SIZE} to {SIZE + 1}", f"ledger entry {SIZE + 5}"]


def test_entries_put_in_with_an_unsigned_head_are_named_for_ever(copy: Path) -> None:
    Ledger(copy).append("output", {"planted": True})
    found(copy)
    Ledger(copy, OURS).append("output", {})
    assert late(copy) == [f"ledger entry {SIZE}"]


def test_a_head_under_our_name_between_our_heads_is_found(copy: Path) -> None:
    Ledger(copy).append("output", {"planted": True})
    forged = Head.read(parsed(heads(copy)[-1]))
    write_heads(copy, [*heads(copy)[:-1], replace(forged, key=OURS.fingerprint, signature="made up").line])
    Ledger(copy, OURS).append("output", {})
    found(copy)


def test_a_ledger_whose_heads_were_taken_away_says_so_for_ever(copy: Path) -> None:
    (copy / "heads.jsonl").unlink()
    Ledger(copy, OURS).append("output", {})
    assert late(copy) == [f"ledger entries 0 to {SIZE - 1}"]


@pytest.mark.parametrize("body", [{}, {"from": 0, "to": 10**9}, {"from": -1, "to": 0}, {"from": "0", "to": [0]}])
def test_an_entry_of_another_form_that_calls_itself_recovered_says_nothing(copy: Path, body: dict[str, Any]) -> None:
    Ledger(copy, OURS).append("recovered", body)
    assert late(copy) == []


def test_a_line_that_does_not_follow_is_never_signed(copy: Path) -> None:
    with open(sorted(copy.glob("[0-9]*.jsonl"))[-1], "a") as file:
        file.write(Entry.make(SIZE, "", "output", {}, "f" * 64).line + "\n")
    with pytest.raises(MakarError, match="does not follow"):
        Ledger(copy, OURS).append("output", {})


# --- an older state ---------------------------------------------------------------------------------------------------


def test_an_older_signed_state_is_found_with_a_witness_and_only_then(copy: Path) -> None:
    witness = Ledger(copy).head()
    assert witness is not None
    write(copy, read(copy)[:4])
    write_heads(copy, heads(copy)[:2])
    assert holds(Ledger(copy).verify(US)), "as the docstring says: it was once signed just so"
    findings = Ledger(copy).verify(US, witness)
    assert not holds(findings)
    assert "older state" in findings[-1].why
    assert Ledger(copy).consistent_with(witness, US).state == "fails"


def test_a_witness_of_every_age_fits_a_ledger_that_grew(whole: Path, tmp_path: Path) -> None:
    for line in heads(whole):
        witness = Head.read(parsed(line))
        assert holds(Ledger(whole).verify(US, witness))
        assert Ledger(whole).consistent_with(witness, US).state == "holds"
    other = fill(tmp_path / "other")
    for line in heads(whole):
        witness = Head.read(parsed(line))
        assert not holds(other.verify(US, witness)), "another ledger of the same key"
        assert other.consistent_with(witness, US).state == "fails"


def test_a_witness_that_we_did_not_sign_does_not_count(copy: Path) -> None:
    head = Ledger(copy).head()
    assert head is not None
    assert not holds(Ledger(copy).verify(US, replace(head, time="1999")))
    assert Ledger(copy).consistent_with(replace(head, time="1999"), US).state == "untrusted"


# --- proofs -----------------------------------------------------------------------------------------------------------


def test_a_stranger_checks_an_entry_with_its_line_and_a_public_key(whole: Path) -> None:
    made = Ledger(whole)
    for entry in made.entries():
        proof = json.loads(json.dumps(made.prove(entry.n)))
        assert ledger_check.entry_holds(proof, entry.line, US).state == "holds"
        assert ledger_check.entry_holds(proof, entry.line, Known((STRANGER,))).state == "untrusted"
        assert ledger_check.entry_holds(proof, entry.line, None).state == "unknown"
        for field in ("n", "time", "kind", "body", "prev"):
            assert ledger_check.entry_holds(proof, changed(entry.line, field), US).state == "fails"
        for other in made.entries():
            if other.n != entry.n:
                assert ledger_check.entry_holds(proof, other.line, US).state == "fails"


def test_every_change_to_a_proof_is_refused(whole: Path) -> None:
    made = Ledger(whole)
    line = list(made.entries())[5].line
    proof = made.prove(5)
    for step in range(len(proof["path"])):
        wrong = json.loads(json.dumps(proof))
        wrong["path"][step] = "0" * 64
        assert ledger_check.entry_holds(wrong, line, US).state == "fails"
    for field in proof["head"]:
        wrong = proof | {"head": json.loads(altered(json.dumps(proof["head"]), field))}
        assert ledger_check.entry_holds(wrong, line, US).state in ("fails", "untrusted")
    for n in (4, 6, -1, "5", None, True, 5.0):
        assert ledger_check.entry_holds(proof | {"n": n}, line, US).state == "fails"


plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["n", "path", "head", "old", "size"]), inner),
)


@given(plain_json, st.text())
def test_hostile_proofs_are_findings(proof: Any, line: str) -> None:
    assert ledger_check.entry_holds(proof, line, US).state == "fails"
    assert ledger_check.growth_holds(proof, US).state == "fails"


@given(st.lists(st.binary(max_size=60), max_size=6), st.binary(max_size=60))
def test_hostile_bytes_are_findings(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], head: bytes) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "000000.jsonl").write_bytes(b"\n".join(lines))
    (folder / "heads.jsonl").write_bytes(head)
    assert not any(f.state == "holds" and f.required for f in Ledger(folder).verify(US)[1:])


@pytest.mark.parametrize("number", ["9" * 4299, "9" * 5000, "-1", "1e400", "true", '"5"'])
def test_strange_numbers_are_findings(copy: Path, number: str) -> None:
    lines, last = read(copy), heads(copy)
    write(copy, [*lines[:5], lines[5].replace('"n":5', f'"n":{number}'), *lines[6:]])
    found(copy, 5)
    with pytest.raises(MakarError, match="entry 5"):
        list(Ledger(copy).entries())
    write(copy, lines)
    write_heads(copy, [*last[:-1], last[-1].replace(f'"size":{SIZE}', f'"size":{number}')])
    found(copy)
    with pytest.raises(MakarError, match=r"heads\.jsonl"):
        Ledger(copy).head()


@pytest.mark.parametrize("field", ["time", "key", "signature", "root", "prev"])
def test_what_a_stranger_wrote_does_not_reach_the_terminal_raw(copy: Path, field: str) -> None:
    lines = heads(copy)
    plain = json.loads(lines[-1]) | {field: "\x1b[31m\nall is well"}
    write_heads(copy, [*lines[:-1], json.dumps(plain, separators=(",", ":"))])
    found(copy)
    assert all(f.why.isprintable() for f in Ledger(copy).verify(US))


def test_growth_is_proved_without_the_ledger(whole: Path) -> None:
    made = Ledger(whole)
    for line in heads(whole):
        proof = made.prove_growth(Head.read(parsed(line)))
        assert ledger_check.growth_holds(proof, US).state == "holds"
        wrong = proof | {"old": proof["head"]}
        if proof["path"]:
            assert ledger_check.growth_holds(wrong, US).state == "fails"


def test_there_is_no_proof_of_what_is_not_there(whole: Path, tmp_path: Path) -> None:
    for n in (-1, SIZE):
        with pytest.raises(MakarError, match="no entry"):
            Ledger(whole).prove(n)
    with pytest.raises(MakarError, match="empty"):
        Ledger(tmp_path / "none").prove(0)


# --- crashes and writers ----------------------------------------------------------------------------------------------


def acknowledged_stands(folder: Path, acknowledged: list[str]) -> None:
    """Nothing that was acknowledged is lost, nothing is wrong but what a crash leaves, and the next writer mends it."""
    findings = Ledger(folder).verify(US)
    assert not any(f.state == "fails" for f in findings), named(findings)
    lines = [entry.line for entry in Ledger(folder).entries()]
    assert lines[: len(acknowledged)] == acknowledged
    made = Ledger(folder, OURS, 700)
    made.append("after", {})
    findings = made.verify(US)
    assert holds(findings), named(findings)
    recovered = list(made.entries("recovered"))
    assert all(entry.body["from"] >= len(acknowledged) for entry in recovered), "what was acknowledged was signed"
    assert len([f for f in findings if f.state != "holds"]) == len(recovered)


@pytest.mark.parametrize("for_good", [False, True], ids=["error", "crash"])
@pytest.mark.parametrize("batch", [1, 7])
def test_every_failing_operation_leaves_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, for_good: bool, batch: int
) -> None:
    k = 0
    while True:
        k += 1
        folder = tmp_path / f"{k}"
        faulty = Faulty(k, for_good)
        acknowledged: list[str] = []
        with monkeypatch.context() as patch:
            patch.setattr(files, "disk", faulty)
            made = Ledger(folder, OURS, 700)
            for step in range(3):
                try:
                    entries = made.append_all([("output", body(step * batch + i)) for i in range(batch)])
                except MakarError as error:
                    assert "cannot be written" in str(error)  # noqa: PT017
                    break
                acknowledged += [entry.line for entry in entries]
        acknowledged_stands(folder, acknowledged)
        if faulty.count < k:
            break
    assert k > 9


WRITER = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from makar.provenance.ledger import Ledger
from tests.provenance.test_ledger import OURS, body
made = Ledger(Path({folder!r}), OURS, 5000)
print("ready", flush=True)
for step in range({steps}):
    for entry in made.append_all([({kind!r}, body(i)) for i in range(step % 4 + 1)]):
        print(entry.line, flush=True)
"""


def writer(folder: Path, kind: str, steps: int) -> subprocess.Popen[str]:
    root = str(Path(__file__).resolve().parents[2])
    code = WRITER.format(root=root, folder=str(folder), kind=kind, steps=steps)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_killed_at_any_instant_it_stands(tmp_path: Path) -> None:
    chance, told_of = random.Random(5), 0
    for round_ in range(6):
        folder = tmp_path / f"{round_}"
        process = writer(folder, "output", 100_000)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.0, 0.15))
        process.kill()
        told = process.communicate()[0]
        whole_lines = told[: told.rfind("\n") + 1].splitlines()
        acknowledged_stands(folder, whole_lines)
        told_of += len(whole_lines)
    assert told_of > 10, "they were killed while they wrote"


def test_two_writers_take_turns(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    steps = 60
    processes = [writer(folder, kind, steps) for kind in ("one", "two")]
    told = [process.communicate(timeout=120)[0].splitlines()[1:] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    entries = list(Ledger(folder).entries())
    assert [entry.n for entry in entries] == list(range(len(entries)))
    assert len(entries) == 2 * sum(step % 4 + 1 for step in range(steps))
    for kind, lines in zip(("one", "two"), told, strict=True):
        assert [entry.line for entry in entries if entry.kind == kind] == lines, "what each was told stands"
    assert holds(Ledger(folder).verify(US))


def test_stale_state_is_never_trusted(tmp_path: Path) -> None:
    one, two = (Ledger(tmp_path / "ledger", OURS) for _ in range(2))
    for n in range(6):
        assert (one, two)[n % 2].append("output", body(n)).n == n
    assert holds(one.verify(US))


def test_a_ledger_cut_short_is_not_written_to(copy: Path) -> None:
    write(copy, read(copy)[:5])
    with pytest.raises(MakarError, match="12 entries and 5 are left"):
        Ledger(copy, OURS).append("output", {})
    (copy / "heads.jsonl").write_text("strange\n")
    with pytest.raises(MakarError, match="cannot be read"):
        Ledger(copy, OURS).append("output", {})


def test_a_head_with_another_frontier_is_not_built_on(copy: Path) -> None:
    lines = heads(copy)
    write_heads(copy, [*lines[:-1], altered(lines[-1], "frontier")])
    with pytest.raises(MakarError, match="another root"):
        Ledger(copy, OURS).append("output", {})


def test_a_writer_reads_only_the_end(whole: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise AssertionError(f"{path} was read")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "lines", refuse)
        Ledger(copy, OURS, 700).append("output", {})
    assert holds(Ledger(copy).verify(US))


def test_what_is_entered_must_be_json_and_not_too_large(tmp_path: Path) -> None:
    made = Ledger(tmp_path / "ledger", OURS)
    for bad in ({"x": float("nan")}, {"x": object()}, {"x": b"bytes"}):
        with pytest.raises(MakarError, match="JSON"):
            made.append_all([("output", {}), ("output", bad)])
    with pytest.raises(MakarError, match="too large"):
        made.append("output", {"x": "x" * 2**20})
    assert list(made.entries()) == [], "nothing of a refused batch is entered"
    assert [f.state for f in made.verify(US)] == ["absent"]


def test_a_ledger_that_gets_a_key_later_is_signed_from_then_on(tmp_path: Path) -> None:
    folder = fill(tmp_path / "ledger", None).folder
    found(folder)
    Ledger(folder, OURS).seal()
    findings = Ledger(folder).verify(US)
    assert holds(findings), named(findings)
    (first,) = [f for f in findings if f.state != "holds"]
    assert first.what == f"ledger entries 0 to {SIZE - 1}"
    assert "there were no keys" in first.why
    assert len(list(Ledger(folder).entries())) == SIZE, "nobody stopped, and nothing was recovered"
    sealed = heads(folder)
    Ledger(folder, OURS).seal()
    assert heads(folder) == sealed, "there is nothing more to sign"


def test_the_keys_of_a_workspace_sign_heads(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    held = keys.init(home, "Somebody")
    anchors = keys.Anchors.of(home)

    class Key:
        fingerprint = held.fingerprint

        def sign(self, data: bytes) -> str:
            return keys.sign(held, "ledger head", data)

        def check(self, data: bytes, signature: str) -> str | None:
            return keys.check(anchors, "ledger head", data, signature)

    made = Ledger(home.ledger, Key())
    made.append("output", {})
    findings = made.verify(Key())
    assert holds(findings), named(findings)
    assert held.fingerprint in findings[-1].why
    found(home.ledger, None, Known((STRANGER,)))

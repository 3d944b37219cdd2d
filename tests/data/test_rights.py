"""Licences that act: the lattice's laws, known answers for known licences, and what loading does about them."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from makar.core.errors import MakarError
from makar.data import licences, load, manifest, rights
from makar.data.dataset import Manifest
from makar.data.rights import Verdict, verdict
from makar.data.terms import Reason, Rights, allowed, bottom, join, meet, table

PERMISSION = st.sampled_from(["no", "unclear", "yes"])
REASONS = st.frozensets(
    st.builds(
        Reason,
        source=st.sampled_from("ab"),
        licence=st.just("MIT"),
        what=st.sampled_from(["model", "outputs"]),
        value=st.sampled_from(["no", "unclear"]),
        why=st.just("so"),
    ),
    max_size=2,
)
KNOWN = st.builds(
    Rights,
    train=PERMISSION,
    model=PERMISSION,
    outputs=PERMISSION,
    attribution=st.booleans(),
    no_derivatives=st.booleans(),
    non_commercial=st.booleans(),
    share_alike=st.frozensets(st.sampled_from(["X", "Y"])),
    field_limits=st.frozensets(st.sampled_from(["p", "q"])),
    reasons=REASONS,
)
RIGHTS = st.one_of(KNOWN, KNOWN, st.builds(lambda r: bottom(*r), REASONS))


@given(RIGHTS, RIGHTS, RIGHTS)
def test_meet_is_a_semilattice(a: Rights, b: Rights, c: Rights) -> None:
    assert meet(a, a) == a
    assert meet(a, b) == meet(b, a)
    assert meet(meet(a, b), c) == meet(a, meet(b, c))
    assert meet(a, b).under(a)
    assert meet(a, b).under(b)
    assert meet(a, b).reasons == a.reasons | b.reasons  # no restriction loses its reasons


@given(RIGHTS, RIGHTS, RIGHTS)
def test_meet_is_monotone_and_the_greatest_lower_bound(a: Rights, b: Rights, c: Rights) -> None:
    lower = meet(a, b)
    assert meet(lower, c).under(meet(a, c))
    if c.under(a) and c.under(b):
        assert c.under(lower)


@given(RIGHTS)
def test_unknown_is_the_bottom_and_everything_for_nothing_the_top(a: Rights) -> None:
    assert bottom().under(a)
    assert meet(bottom(), a).unknown
    assert a.under(Rights())
    assert meet(a, Rights()) == a


@given(RIGHTS, RIGHTS, RIGHTS)
def test_a_choice_takes_the_freer_whole(a: Rights, b: Rights, c: Rights) -> None:
    assert join(a, b) in (a, b)
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    if a.under(b):
        assert a.under(join(a, b))
        assert b.under(join(a, b))


FORMER = """
0BSD AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-1.1 Apache-2.0 Artistic-2.0 BSD-1-Clause BSD-2-Clause BSD-3-Clause
BSD-4-Clause BSL-1.0 BUSL-1.1 C-UDA-1.0 CC-BY-1.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0 CC-BY-4.0 CC-BY-NC-1.0 CC-BY-NC-2.0
CC-BY-NC-2.5 CC-BY-NC-3.0 CC-BY-NC-4.0 CC-BY-NC-ND-2.0 CC-BY-NC-ND-2.5 CC-BY-NC-ND-3.0 CC-BY-NC-ND-4.0
CC-BY-NC-SA-2.0 CC-BY-NC-SA-2.5 CC-BY-NC-SA-3.0 CC-BY-NC-SA-4.0 CC-BY-ND-2.0 CC-BY-ND-3.0 CC-BY-ND-4.0 CC-BY-SA-1.0
CC-BY-SA-2.0 CC-BY-SA-2.5 CC-BY-SA-3.0 CC-BY-SA-4.0 CC-PDDC CC0-1.0 CDDL-1.0 CDDL-1.1 CDLA-Permissive-1.0
CDLA-Permissive-2.0 CDLA-Sharing-1.0 CECILL-2.1 ECL-2.0 EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 etalab-2.0 FSFAP
GFDL-1.2-only GFDL-1.2-or-later GFDL-1.3-only GFDL-1.3-or-later GPL-2.0-only GPL-2.0-or-later GPL-3.0-only
GPL-3.0-or-later HPND ISC LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later MIT MIT-0 MPL-1.1 MPL-2.0
MS-PL NCSA O-UDA-1.0 ODbL-1.0 ODC-By-1.0 OFL-1.0 OFL-1.1 OGL-UK-1.0 OGL-UK-2.0 OGL-UK-3.0 OSL-3.0 PDDL-1.0 PSF-2.0
Python-2.0 Unicode-3.0 Unicode-DFS-2016 Unlicense UPL-1.0 W3C WTFPL X11 Zlib
CC-BY-3.0-DE
"""


@pytest.mark.parametrize("name", FORMER.split())
def test_common_licences_are_in_the_table(name: str) -> None:
    assert not allowed(name).unknown


def test_every_entry_has_its_say_and_the_rest_of_spdx_is_unknown_with_a_sentence() -> None:
    for entry in table().licence:
        assert len(entry.why) > 10, entry.ids
        assert entry.source, entry.ids
    counts = {False: 0, True: 0}
    for name in licences.identifiers():
        found = allowed(name)
        counts[found.unknown] += 1
        if found.unknown:
            assert [r.why for r in found.reasons] == ["SPDX lists it, but makar's table does not say what it allows"]
    assert counts[False] >= 130
    assert counts[True] >= 300


@pytest.mark.parametrize(
    ("expression", "expected"),
    [  # train, model, outputs, attribution, share-alike
        ("CC0-1.0", ("yes", "yes", "yes", False, "")),
        ("CC-BY-4.0", ("yes", "yes", "yes", True, "")),
        ("CC-BY-3.0-DE", ("yes", "yes", "yes", True, "")),
        ("CC-BY-SA-4.0", ("yes", "yes", "yes", True, "CC-BY-SA-4.0")),
        ("CC-BY-NC-4.0", ("yes", "no", "no", True, "")),
        ("CC-BY-NC-SA-3.0-IGO", ("yes", "no", "no", True, "CC-BY-NC-SA-3.0-IGO")),
        ("CC-BY-ND-4.0", ("unclear", "unclear", "unclear", True, "")),
        ("CC-BY-NC-ND-4.0", ("unclear", "no", "no", True, "")),
        ("ODbL-1.0", ("yes", "yes", "yes", True, "ODbL-1.0")),
        ("CDLA-Sharing-1.0", ("yes", "yes", "yes", False, "")),
        ("BUSL-1.1", ("yes", "no", "unclear", True, "")),
        ("LicenseRef-own", ("yes", "yes", "yes", False, "")),
        ("CC-BY-4.0 AND CC-BY-NC-4.0", ("yes", "no", "no", True, "")),
        ("CC-BY-NC-4.0 OR CC-BY-SA-4.0", ("yes", "yes", "yes", True, "CC-BY-SA-4.0")),
        ("LicenseRef-x OR MIT", ("yes", "yes", "yes", True, "")),
        ("GPL-2.0-only WITH LLVM-exception", ("yes", "yes", "yes", True, "GPL-2.0-only WITH LLVM-exception")),
        ("(MIT OR CC-BY-NC-4.0) AND CC-BY-SA-4.0", ("yes", "yes", "yes", True, "CC-BY-SA-4.0")),
        ("Apache-2.0+", ("yes", "yes", "yes", True, "")),
    ],
)  # fmt: skip
def test_known_answers(expression: str, expected: tuple[str, str, str, bool, str]) -> None:
    found = verdict({"d": expression})
    assert (found.train, found.model, found.outputs, bool(found.attribution), found.share_alike) == expected


def test_limits_of_use_are_kept() -> None:
    assert "computation only" in verdict({"d": "C-UDA-1.0"}).field_limits[0]
    found = verdict({"d": licences.expression("creativeml-openrail-m")})
    assert "forbidden uses" in found.field_limits[0]
    assert found.refusal("commercial", "model") is None


def test_non_commercial_data_mark_the_model_and_name_their_source() -> None:
    found = verdict({"digits": "CC-BY-4.0", "photos": "CC-BY-NC-4.0"}, attributions={"digits": "E. Alpaydin"})
    for use in ("private", "research"):
        assert found.refusal(use, "model") is None
        assert found.refusal(use, "outputs") is None
    for of in ("model", "outputs"):
        said = found.refusal("commercial", of)
        assert said is not None
        assert "CC-BY-NC-4.0 in photos => commercial use of" in said
        assert "digits" not in said
    assert found.non_commercial
    assert [(due.source, due.words) for due in found.attribution] == [("digits", "E. Alpaydin"), ("photos", "")]
    assert found.expression == "CC-BY-4.0 AND CC-BY-NC-4.0"
    assert "the model may not be used commercially (CC-BY-NC-4.0 in photos)" in found.words()
    assert "no legal advice" in found.words()
    assert "compliant" not in found.words()


def test_an_unknown_licence_allows_nothing_unless_accepted_by_name() -> None:
    refused = verdict({"mine": "unknown", "digits": "CC-BY-4.0"})
    said = refused.refusal("private", "model")
    assert said is not None
    assert "'mine' is unknown" in said
    assert "--accept mine (accept=)" in said
    assert "--licence (licence=)" in said, "as it is said on the command line and in Python"
    assert (refused.train, refused.unknown, refused.accepted) == ("no", ["mine"], [])
    taken = verdict({"mine": "unknown", "digits": "CC-BY-4.0"}, accepted=["mine", "digits"])
    assert (taken.train, taken.accepted) == ("yes", ["mine"])
    assert taken.refusal("research", "outputs") is None
    said = taken.refusal("commercial", "model")
    assert said is not None
    assert "mine" in said
    other = verdict({"mine": "unknown", "yours": "LicenseRef-y"}, accepted=["mine"])
    assert "'yours' is LicenseRef-y" in (other.refusal("private", "outputs") or "")


def test_accepting_an_unknown_part_does_not_undo_what_a_known_part_forbids() -> None:
    found = verdict({"d": "LicenseRef-x AND CC-BY-NC-4.0"}, accepted=["d"])
    assert (found.train, found.model, found.outputs) == ("yes", "no", "no")


def test_no_derivatives_is_unclear_trains_and_is_not_sold() -> None:
    found = verdict({"d": "CC-BY-ND-4.0"})
    assert found.no_derivatives
    assert found.refusal("private", "model") is None
    assert "unclear" in (found.refusal("commercial", "model") or "")
    assert "whether one may train on them is unclear" in found.words()


def test_all_rights_reserved_is_refused() -> None:
    assert "training is refused" in (
        verdict({"d": "LicenseRef-scancode-proprietary-license"}, accepted=["d"]).refusal("private", "model") or ""
    )


def test_a_choice_is_explained() -> None:
    found = verdict({"d": "GPL-3.0-only OR MIT"})
    assert found.share_alike == ""
    assert any(r.what == "choice" and r.value == "MIT" for r in found.reasons)


def test_no_data_and_data_drawn_by_a_program_are_zero_data() -> None:
    none = verdict({})
    assert none.zero_data
    assert none.refusal("commercial", "outputs") is None
    assert "there is no data learnt from" in none.words()
    assert rights.of(load("toy:ring8", n=50).manifest).zero_data
    assert rights.of(load("grammar:small", n=50).manifest).zero_data
    assert not rights.of(load("digits").manifest).zero_data


def test_verdicts_are_written_and_read() -> None:
    found = verdict({"a": "CC-BY-SA-4.0", "b": "GPL-3.0-only OR MIT", "c": "unknown"}, accepted=["c"])
    assert Verdict.from_json(json.loads(json.dumps(found.to_json()))) == found
    with pytest.raises(MakarError, match=r"rights\.json holds no verdict"):
        Verdict.from_json({**found.to_json(), "train": "perhaps"})


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["licences", "train", "reasons", "version", "x"]), inner, max_size=4),
    ),
    max_leaves=8,
)


@given(JSON)
def test_what_is_no_verdict_is_refused_in_a_sentence(plain: object) -> None:
    with pytest.raises(MakarError, match="holds no verdict"):
        Verdict.from_json(plain)


@given(st.text(alphabet="()MITANDORWHecpt-0.+ ", max_size=40))
def test_any_text_is_an_expression_or_an_error_for_people(text: str) -> None:
    try:
        found = licences.expression(text)
    except MakarError:
        return
    assert licences.expression(found) == found


@pytest.mark.parametrize("text", ["()", "MIT ()", "((OR MIT", "(" * 3000, "MIT OR " * 3000, "WITH", "MIT WITH", "+"])
def test_hostile_expressions_end_in_a_sentence(text: str) -> None:
    with pytest.raises(MakarError):
        licences.expression(text)


def test_former_and_hub_spellings() -> None:
    for given_, expected in (
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("GPL-3.0", "GPL-3.0-only"),
        ("openrail", "LicenseRef-OpenRAIL"),
        ("NOASSERTION", "unknown"),
        ("other", "unknown"),
    ):
        assert licences.expression(given_) == expected


@given(
    st.lists(
        st.sampled_from(["MIT", "CC-BY-4.0 OR MIT", "MIT AND ISC", "GPL-2.0-only WITH LLVM-exception"]), min_size=1
    )
)
def test_a_conjunction_binds_to_all_its_parts(parts: list[str]) -> None:
    whole = licences.conjunction(parts)
    assert licences.expression(whole) is not None
    apart = reduce(meet, (allowed(part) for part in parts))
    together = allowed(whole)
    assert together.under(apart)
    assert apart.under(together)
    assert licences.conjunction([*parts, "unknown"]) == "unknown"


OWN = """
[[licence]]
ids = ["LicenseRef-house"]
train = "yes"
model = "yes"
outputs = "no"
why = "the house's own terms"
source = "legal@house"
"""


def test_a_workspace_declares_licences_of_its_own(home: Path) -> None:
    assert allowed("LicenseRef-house").unknown
    (home / "rights.toml").write_text(OWN)
    assert not allowed("LicenseRef-house").unknown
    assert "the house's own terms" in (verdict({"d": "LicenseRef-house"}).refusal("commercial", "outputs") or "")
    assert verdict({"d": "LicenseRef-house"}).refusal("commercial", "model") is None


@pytest.mark.parametrize("name", ["CC-BY-NC-4.0", "LicenseRef-*", "CC-BY-NC-4.[0]"])
def test_a_workspace_does_not_overrule_the_table(home: Path, name: str) -> None:
    (home / "rights.toml").write_text(OWN.replace("LicenseRef-house", name))
    with pytest.raises(MakarError, match="may only add"):
        allowed("MIT")


def test_a_table_with_a_mistake_is_named(home: Path) -> None:
    (home / "rights.toml").write_text(OWN.replace('outputs = "no"', 'outputs = "maybe"'))
    with pytest.raises(MakarError, match=r"rights\.toml cannot be read"):
        allowed("MIT")


def pictures(folder: Path, count: int = 10, start: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(start, start + count):
        values = np.random.default_rng(i).integers(0, 256, (4, 4), dtype=np.uint8)
        Image.fromarray(values).save(folder / f"{i}.png")
    return folder


def test_loading_records_and_training_asks(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "photos")
    data = load(f"folder:{folder}")
    assert (data.manifest.licence, data.manifest.accepted, data.manifest.origin) == ("unknown", [], "user")
    with pytest.raises(MakarError, match="--accept folder:photos"):
        rights.require_trainable(data.manifest)
    accepted = load(f"folder:{folder}", accept="folder:photos").manifest
    assert accepted.accepted == ["folder:photos"]
    assert rights.require_trainable(accepted).accepted == ["folder:photos"]
    stated = load(f"folder:{folder}", licence="LicenseRef-own", origin="captured").manifest
    assert stated.origin == "captured"
    assert rights.require_trainable(stated).refusal("commercial", "model") is None
    with pytest.raises(MakarError, match=r"--accept \(accept=\) names 'photos'.*did you mean 'folder:photos'"):
        load(f"folder:{folder}", accept="photos")


def test_acceptance_of_a_known_licence_is_not_recorded() -> None:
    assert load("toy:ring8", n=50, accept="toy:ring8").manifest == load("toy:ring8", n=50).manifest


def test_a_use_that_the_licence_rules_out_is_refused_at_loading(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "photos")
    (folder / "LICENSE").write_text("CC-BY-NC-4.0\n")
    assert len(load(f"folder:{folder}", allow="research").train) == 8
    with pytest.raises(MakarError, match=r"allow='commercial'.*CC-BY-NC-4\.0 in folder:photos"):
        load(f"folder:{folder}", allow="commercial")
    (folder / "LICENSE").unlink()
    with pytest.raises(MakarError, match="'folder:photos' is unknown"):
        load(f"folder:{folder}", allow="private")
    assert load(f"folder:{folder}", allow="private", accept="folder:photos").manifest.accepted == ["folder:photos"]
    with pytest.raises(MakarError, match="commercial use"):
        load(f"folder:{folder}", allow="commercial", accept="folder:photos")


def test_items_with_licences_of_their_own(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "photos")
    both = ("CC-BY-4.0", "CC-BY-NC-4.0")
    lines = ["file,creator,tags,licence", *(f"{i}.png,Maker {i % 2},cats; oil,{both[i % 2]}" for i in range(8))]
    (folder / "creators.csv").write_text("\n".join(lines))
    (folder / "LICENSE").write_text("CC0-1.0\n")
    data = load(f"folder:{folder}").manifest
    assert {m.name: sum(m.counts.values()) for m in data.members} == {
        "folder:photos (CC-BY-4.0)": 4,
        "folder:photos (CC-BY-NC-4.0)": 4,
        "folder:photos (CC0-1.0)": 2,
    }
    assert data.licence == "CC-BY-4.0 AND CC-BY-NC-4.0 AND CC0-1.0"
    assert sorted(set(data.creators.values())) == ["Maker 0", "Maker 1"]
    assert len(data.creators) == len(data.tags) == 8
    assert "not pictures" not in " ".join(data.notes)
    free = load(f"folder:{folder}", allow="commercial")
    assert len(free.train) + len(free.held_out) == 6
    assert any("CC-BY-NC-4.0" in note and "left out" in note for note in free.manifest.notes)
    assert rights.of(free.manifest).refusal("commercial", "model") is None
    (folder / "creators.csv").write_text("file,licence\n0.png,MTI\n")
    with pytest.raises(MakarError, match=r"creators\.csv line 2.*did you mean 'MIT'"):
        load(f"folder:{folder}")


def test_blocked_creators_and_tags_are_left_out(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "photos")
    lines = ["file,creator,tags", *(f"{i}.png,Maker {i % 2},{'watercolour' if i < 3 else 'oil'}" for i in range(10))]
    (folder / "metadata.csv").write_text("\n".join(lines))
    assert len(load(f"folder:{folder}").manifest.items["train"]) == 8
    found = load(f"folder:{folder}", blocked="maker 1, Watercolour").manifest
    assert sum(found.counts.values()) == 3  # 4, 6 and 8
    assert set(found.creators.values()) == {"Maker 0"}
    assert any(note.startswith("7 items were left out, for their creator or tags are blocked") for note in found.notes)
    with pytest.raises(MakarError, match="0 items that may be used"):
        load(f"folder:{folder}", blocked="oil,watercolour")


def test_a_manifest_of_before_keeps_its_digest() -> None:
    """The digest of these fields was computed by the version that had no others."""
    plain = {
        "name": "d", "modality": "text", "source": "s", "licence": "MIT", "attribution": "", "counts": {"train": 1},
        "classes": [], "items": {"train": ["ab"]}, "split": "x", "notes": [],
        "digest": "1f44a1a0840424bc679da0d439be87d99e21fea35e9cb5b214b7feb27a04da4e",
    }  # fmt: skip
    old = Manifest.model_validate(plain)
    assert manifest.digest_of(old.model_dump()) == old.digest
    for changed in ({"origin": "public"}, {"accepted": ["d"]}, {"creators": {"ab": "A"}}, {"tags": {"ab": ["x"]}}):
        assert manifest.digest_of({**old.model_dump(), **changed}) != manifest.digest_of(old.model_dump())


def test_known_data_load_without_parsing_licences() -> None:
    """The list of SPDX takes 80 ms to read: not for those who only look at digits."""
    code = "import sys, makar.data; makar.data.load('digits'); sys.exit('license_expression' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

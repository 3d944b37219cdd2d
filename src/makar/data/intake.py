"""From what sources hand over to a dataset: what may not be used is left out, the rest is split and written down.

For each source: was it withdrawn, under which licence is it, which of its items were withdrawn, have a blocked creator
or tag, or are under a licence that the asked-for use rules out. What is left of all of them is joined and split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from makar.core.errors import MakarError, did_you_mean
from makar.data import _sides as sides
from makar.data import creators, licences, manifest, optouts, rights, splits, tables
from makar.data.dataset import Dataset, Evidence, Member, Origin, Split
from makar.data.loaded import Loaded, Mix, Tag
from makar.data.manifest import Past


@dataclass(frozen=True)
class Common:
    """Options of every source.

    Names in `accept` and `blocked` are a tuple, or one text with commas.
    """

    held_out: float | None = None  # share of the items to hold out, or a count where it is 1 or more
    licence: str | None = None  # SPDX expression, for data of your own
    attribution: str | None = None  # whom to name, for data of your own
    origin: Origin | None = None  # how data of your own were come by
    accept: str | tuple[str, ...] = ()  # datasets that may be trained on though their licence is unknown
    allow: Literal["any", "private", "research", "commercial"] = "any"  # the use that every member must allow
    blocked: str | tuple[str, ...] = ()  # creators and tags whose items are left out
    digest: str | None = None  # of the manifest, or its first 12 characters or more; anything else is refused


@dataclass(frozen=True)
class _Part:
    """What is kept of one source: its items, with the licence of each."""

    loaded: Loaded
    hashes: list[str]
    licences: list[str]
    attribution: str
    origin: Origin
    notes: list[str]
    optouts: list[Evidence]

    def only(self, places: Sequence[int]) -> _Part:
        """The same with the items at some places."""
        old = self.loaded
        index = np.asarray(places, np.int64)
        loaded = replace(
            old,
            things=[old.things[i] for i in places],
            labels=None if old.labels is None else old.labels[index],
            held=None if old.held is None else old.held[index],
            tagged=None if old.tagged is None else [old.tagged[i] for i in places],
        )
        return replace(
            self,
            loaded=loaded,
            hashes=[self.hashes[i] for i in places],
            licences=[self.licences[i] for i in places],
        )


@dataclass(frozen=True)
class _Joined:
    """All parts as one, the member that each item is of, and the part that each member is of."""

    part: _Part
    members: list[str]
    parts: dict[str, _Part]
    mixed: bool  # whether it is a mix

    @property
    def several(self) -> bool:
        """Whether there are members to be told of."""
        return self.mixed or len(self.parts) > 1


def dataset(given: Loaded | Mix, settings: Common) -> Dataset:
    """The dataset of a source or of several. Raises MakarError where nothing may be used, or too little is left."""
    sources = given.parts if isinstance(given, Mix) else [given]
    withdrawn = optouts.withdrawn()
    stated = (settings.licence, settings.attribution, settings.origin) != (None, None, None)
    if stated and all(source.licence is not None for source in sources):
        said = "; ".join(f"'{source.name}' is under {source.licence}" for source in sources)
        raise MakarError(f"{said}; --licence, --attribution and --origin are for your own data")
    parts = [_usable(_with_licence(source, settings), settings, withdrawn) for source in _named_apart(sources)]
    parts = [_classed(part) for part in parts]
    accept = set(tables.names(settings.accept))
    for name in sorted(accept):
        known = {member for part in parts for member in (*_members(part), part.loaded.name)}
        if name not in known:
            raise MakarError(f"--accept (accept=) names '{name}', which is no dataset here{did_you_mean(name, known)}")
    parts, dropped = _allowed(parts, settings.allow, accept)
    joined = _joined(parts, given.name)
    return _expected(_split(joined, settings, accept, dropped), settings.digest)


def _expected(found: Dataset, digest: str | None) -> Dataset:
    """The dataset, if it is the one whose digest was given."""
    if digest is not None and (len(digest) < 12 or not found.manifest.digest.startswith(digest.lower())):
        raise MakarError(
            f"{found.name} has the digest {found.manifest.digest[:12]}, and {digest[:12]} was asked for: "
            f"it is not the same data; open it without --digest (digest=) to see what it holds"
        )
    return found


def _named_apart(sources: Sequence[Loaded]) -> list[Loaded]:
    """Two sources of one name get a number."""
    seen: Counter[str] = Counter()
    found = []
    for source in sources:
        seen[source.name] += 1
        count = seen[source.name]
        found.append(replace(source, name=f"{source.name} ({count})") if count > 1 else source)
    return found


def _with_licence(loaded: Loaded, settings: Common) -> _Part:
    licence, notes = loaded.licence, []
    attribution, origin = loaded.attribution, loaded.origin
    if licence is None:
        attribution = settings.attribution or attribution
        origin = settings.origin or origin
        if settings.licence is not None:
            licence, note = licences.expression(settings.licence), "the user stated the licence"
        elif loaded.folder is not None:
            licence, note = licences.beside(loaded.folder)
        else:
            licence = licences.UNKNOWN
            note = licences.unstated("nobody has stated it")
        notes = [note]
    tagged = loaded.tagged or [Tag()] * len(loaded.things)
    return _Part(
        loaded,
        splits.digests(loaded.things),
        [tag.licence or licence for tag in tagged],
        attribution,
        origin,
        [*loaded.notes, *notes],
        list(loaded.optouts),
    )


def _usable(part: _Part, settings: Common, withdrawn: optouts.Withdrawn) -> _Part:
    """The part without what its makers withdrew and without what is blocked."""
    for name in (part.loaded.name, part.loaded.source):
        found = withdrawn.sources.get(name.casefold())
        if found is not None:
            when = f" on {found.time}" if found.time else ""
            raise MakarError(f"the source '{name}' was withdrawn{when} ({found.why}); it is no longer used")
    blocked = {name.casefold() for name in tables.names(settings.blocked)}
    tagged = part.loaded.tagged or [Tag()] * len(part.hashes)
    kept: list[int] = []
    gone: dict[str, Evidence] = {}
    for place, (item, tag) in enumerate(zip(part.hashes, tagged, strict=True)):
        makers = creators.makers(tag.creator)
        said = withdrawn.items.get(item) or next(filter(None, map(withdrawn.creators.get, makers)), None)
        if said is not None:
            gone[item] = said
        elif not blocked & {*makers, *(name.casefold() for name in tag.tags)}:
            kept.append(place)
    if len(kept) == len(part.hashes):
        return part
    notes = list(part.notes)
    if gone:
        notes.append(f"{sum(item in gone for item in part.hashes)} items were left out, for their makers withdrew them")
    count = sum(item not in gone for item in part.hashes) - len(kept)
    if count:
        notes.append(
            f"{count} items were left out, for their creator or tags are blocked: {', '.join(sorted(blocked))}"
        )
    lines = {said.sha256: said for said in gone.values()}  # the line's digest and the items: no name of who withdrew
    evidence = [
        said.model_copy(
            update={"why": "withdrawn by its maker", "items": sorted(i for i, s in gone.items() if s.sha256 == line)}
        )
        for line, said in lines.items()
    ]
    return replace(part.only(kept), notes=notes, optouts=[*part.optouts, *evidence])


def _classed(part: _Part) -> _Part:
    """The part without items whose class nobody has said, where the others have one."""
    labels = part.loaded.labels
    if labels is None or (labels >= 0).all():
        return part
    gone = int((labels < 0).sum())
    what = part.loaded.modality if part.loaded.modality in ("rows", "pictures", "points") else "documents"
    note = f"{gone} of {len(labels)} {what} have no class and were left out"
    return replace(part.only(np.flatnonzero(labels >= 0).tolist()), notes=[*part.notes, note])


def _members(part: _Part) -> list[str]:
    """The member that each item of a part is of: its source, and its licence where the source has several."""
    several = len(set(part.licences)) > 1
    return [f"{part.loaded.name} ({licence})" if several else part.loaded.name for licence in part.licences]


def _allowed(
    parts: list[_Part], use: Literal["any", "private", "research", "commercial"], accept: set[str]
) -> tuple[list[_Part], list[str]]:
    """The parts without members whose licence rules out a use, and notes on those.

    Raises MakarError if none is left.
    """
    if use == "any":
        return parts, []
    refusals: dict[str, str] = {}
    kept: list[_Part] = []
    for part in parts:
        places = []
        for place, (name, licence) in enumerate(zip(_members(part), part.licences, strict=True)):
            if name not in refusals:
                accepted = [name] if accept & {name, part.loaded.name} else []
                verdict = rights.verdict({name: licence}, accepted=accepted)
                refusals[name] = verdict.refusal(use, "model") or verdict.refusal(use, "outputs") or ""
            if not refusals[name]:
                places.append(place)
        kept += [part.only(places)] if places else []
    said = [why for why in refusals.values() if why]
    if not kept:
        raise MakarError(f"nothing here may be used as allow='{use}' asks: {'; '.join(said)}")
    return kept, [f"'{name}' was left out (allow='{use}'): {why}" for name, why in refusals.items() if why]


def _joined(parts: list[_Part], name: str) -> _Joined:
    members = [member for part in parts for member in _members(part)]
    parts_of = {member: part for part in parts for member in _members(part)}
    if len(parts) == 1 and parts[0].loaded.name == name:
        return _Joined(parts[0], members, parts_of, mixed=False)
    loads = [part.loaded for part in parts]
    plain = [loaded.name for loaded in loads if loaded.labels is None]
    classes = () if plain else tuple(dict.fromkeys(c for loaded in loads for c in loaded.classes))
    without = [f"the mix has no classes, for {', '.join(plain)} has none"] if 0 < len(plain) < len(loads) else []
    label = {loaded.label for loaded in loads}
    whole = replace(
        loads[0],
        name=name,
        source=" + ".join(loaded.source for loaded in loads),
        things=[thing for loaded in loads for thing in loaded.things],
        labels=np.concatenate([_relabelled(loaded, classes) for loaded in loads]) if classes else None,
        classes=classes,
        label=label.pop() if classes and len(label) == 1 else "",
        held=np.concatenate([_held(part) for part in parts]),
        entropy=None,
        tagged=[tag for part in parts for tag in part.loaded.tagged or [Tag()] * len(part.hashes)],
    )
    origins = {part.origin for part in parts}
    joined = _Part(
        whole,
        [item for part in parts for item in part.hashes],
        [licence for part in parts for licence in part.licences],
        "; ".join(dict.fromkeys(part.attribution for part in parts if part.attribution)),
        origins.pop() if len(origins) == 1 else "mixed",
        [*(f"{part.loaded.name}: {note}" for part in parts for note in part.notes), *without],
        [found for part in parts for found in part.optouts],
    )
    return _Joined(joined, members, parts_of, mixed=True)


def _relabelled(loaded: Loaded, classes: tuple[str, ...]) -> np.ndarray:
    """Labels as places in `classes`."""
    places = np.array([classes.index(name) for name in loaded.classes], np.int64)
    assert loaded.labels is not None, "every member of a mix with classes has labels"
    found: np.ndarray = places[loaded.labels]
    return found


def _held(part: _Part) -> np.ndarray:
    """What a part holds out, alone or in a mix: its own marks, or the first by content."""
    if part.loaded.held is not None:
        return part.loaded.held
    held = np.zeros(len(part.hashes), bool)
    if len(set(part.hashes)) > 1:
        held[splits.by_content(part.hashes, part.loaded.held_out)[1]] = True
    return held


def _split(joined: _Joined, settings: Common, accept: set[str], dropped: list[str]) -> Dataset:
    part, loaded = joined.part, joined.part.loaded
    notes = [*part.notes, *dropped]
    if len(loaded.things) < 2:
        raise MakarError(
            f"{loaded.source} holds {len(loaded.things)} items that may be used; at least 2 are needed, one to learn "
            f"from, one to test{': ' if notes else ''}{'; '.join(notes)}"
        )
    train, held_out, words = sides.of(loaded, part.hashes, settings.held_out, joined.mixed, notes)
    repeats = manifest.duplicates(part.hashes)
    if repeats:
        both = words.startswith(sides.BY_ROW)
        side = "identical ones may be on both sides" if both else "identical items are on one side"
        notes.append(f"{repeats} of {len(part.hashes)} items repeat an earlier one; {side}")
    places = {"train": train, "held_out": held_out}
    members = _described(joined, places) if joined.several else []
    described = manifest.build(
        name=loaded.name,
        modality=loaded.modality,
        source=loaded.source,
        licence=licences.conjunction(sorted(set(part.licences), key=part.licences.index)),
        attribution=part.attribution,
        classes=loaded.classes,
        items={side: [part.hashes[i] for i in at] for side, at in places.items()},
        split=words,
        notes=notes,
        past=Past(
            origin=part.origin,
            members=members,
            optouts=part.optouts,
            accepted=_accepted(joined, accept),
            creators=_creators(part),
            tags={h: list(t.tags) for h, t in zip(part.hashes, loaded.tagged or (), strict=False) if t.tags},
        ),
        label=loaded.label,
    )
    return Dataset(_taken(loaded, train), _taken(loaded, held_out), described, loaded.levels, loaded.entropy)


def _described(joined: _Joined, sides: dict[str, list[int]]) -> list[Member]:
    """The members of a mix, or the items of one source by their licence."""
    found = []
    total = sum(len(places) for places in sides.values())
    for name in dict.fromkeys(joined.members):
        places = {side: [i for i in at if joined.members[i] == name] for side, at in sides.items()}
        origin = joined.parts[name]
        first = joined.members.index(name)
        fields = {"name": name, "source": origin.loaded.source, "licence": joined.part.licences[first]}
        counts = {side: len(at) for side, at in places.items()}
        items = sorted(joined.part.hashes[i] for at in places.values() for i in at)
        found.append(
            Member(
                **fields,
                attribution=origin.attribution,
                origin=origin.origin,
                counts=counts,
                share=round(sum(counts.values()) / total, 6),
                digest=manifest.digest_of({**fields, "items": items}),
            )
        )
    return found


def _accepted(joined: _Joined, accept: set[str]) -> list[str]:
    """Members of unknown licence that the user accepted, by their own name or their source's."""
    if not accept:
        return []
    licence_of = dict(zip(joined.members, joined.part.licences, strict=True))
    named = {name for name in licence_of if accept & {name, joined.parts[name].loaded.name}}
    return rights.verdict(licence_of, accepted=named).accepted


def _creators(part: _Part) -> dict[str, str]:
    """Who made each item; where the same item has several makers, all of them."""
    found: dict[str, list[str]] = {}
    for item, tag in zip(part.hashes, part.loaded.tagged or (), strict=False):
        if tag.creator and tag.creator not in found.setdefault(item, []):
            found[item].append(tag.creator)
    return {item: "; ".join(names) for item, names in found.items() if names}


def _taken(loaded: Loaded, indices: list[int]) -> Split:
    labels = None if loaded.labels is None else loaded.labels[indices]
    return Split([loaded.things[i] for i in indices], labels)

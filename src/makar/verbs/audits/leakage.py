"""Leakage: are held-out items among the training items, and is there personal data in the data or in what is made?"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from makar.core.score import Score
from makar.data import Dataset, pii, planted
from makar.data.contamination import contamination
from makar.metrics._intervals import wilson
from makar.verbs.audits import _figures
from makar.verbs.audits._result import Result, beyond_measure, timed

CONFIDENT = 0.7  # findings of the scanner below this are not counted
SURE = 0.9  # one finding of this confidence (a check or a cue says so) is an alarm
FALSE = 10e-6  # weaker findings a character that clean text has at most (see benchmarks/results/audits.json)
CHANCE = 0.01  # they are an alarm where so many had less than this chance at that rate
PLANTED = 200
_LISTED = 20


@timed
def overlap(data: Dataset) -> Result:
    """Held-out items that were trained on, exactly or nearly; the alarm compares with twins among training items."""
    checks = contamination(data)
    figures: list[Score] = []
    leaks: list[str] = []
    for check in checks:
        usual = wilson(check.twins, check.sampled)
        caveats = (f"training items with a twin among the others: {check.usual:.4f}",)
        name = f"overlap[{check.name}]@{check.looked_at}/{len(data.train)}"
        found = _figures.share(name, len(check.matches), check.looked_at, caveats)
        figures.append(found)
        if (check.name == "exact" and check.matches) or found.low > usual[1]:
            leaks.append(
                f"{len(check.matches)} of {check.looked_at} held-out items match training items ({check.name})"
            )
    shown = {c.name: [list(pair) for pair in list(c.matches.items())[:_LISTED]] for c in checks}
    details = {"matches": shown, "of": "places within held_out and train"}
    if leaks:
        return Result("overlap", "alarm", leaks[0], tuple(figures), {"exact": 0.0}, details)
    most = max(figures, key=lambda f: f.value)
    near = f"near matches ({100 * most.value:.1f} %) are no more than among training items"
    why = f"no held-out item was trained on, and {near}"
    return Result("overlap", "none", why, tuple(figures), {"exact": 0.0}, details)


@timed
def personal_data(data: Dataset, outputs: Sequence[Any] | None = None) -> Result:
    """Personal data in the training items, and in outputs where they are given; how much of what is planted is found.

    One finding by a check or a cue is an alarm; shapes alone are where there are more than clean text has. Findings are
    listed by place and kind, never by value.
    """
    if data.modality not in ("text", "rows"):
        return beyond_measure("personal data", f"{data.modality} are not text; a scanner of patterns cannot read them")
    train = pii.scan(data.train.things, CONFIDENT)
    figures = [_share("personal data[train]", train)]
    details: dict[str, Any] = {"train": _listed(train)}
    alarms = [f"{len(train.items)} of {train.things} training items"] if _alarming(train) else []
    if outputs is not None:
        made = pii.scan(outputs, CONFIDENT)
        known = _values(data.train.things)
        repeated = sorted(i for i in made.items if _values([outputs[i]]) & known)
        figures += [
            _share("personal data[outputs]", made),
            _figures.share(f"personal data[outputs;as in train]@{made.things}", len(repeated), made.things),
        ]
        details |= {"outputs": _listed(made), "repeated": repeated[:_LISTED]}
        if _alarming(made):
            alarms.append(f"{len(made.items)} of {made.things} outputs ({len(repeated)} repeat a training item's)")
    figures.append(_control(data))
    thresholds = {"confidence": CONFIDENT, "sure": SURE, "weaker findings a million characters": 1e6 * FALSE}
    if alarms:
        why = f"personal data in {' and '.join(alarms)}"
        return Result("personal data", "alarm", why, tuple(figures), thresholds, details)
    recall = f"of {PLANTED} planted among this very data {100 * figures[-1].value:.0f} % were found"
    why = f"no more than clean text has; {recall}"
    return Result("personal data", "none", why, tuple(figures), thresholds, details)


def _alarming(scan: pii.Scan) -> bool:
    """Whether there is a sure finding, or more of the weaker ones than a Poisson count at the clean rate would have."""
    found = [span for spans in scan.items.values() for span in spans]
    weak = sum(span.confidence < SURE for span in found)
    expected = FALSE * scan.characters
    fewer = sum(math.exp(-expected + k * math.log(expected) - math.lgamma(k + 1)) for k in range(weak)) if weak else 0.0
    return weak < len(found) or 1.0 - fewer < CHANCE


def _share(name: str, scan: pii.Scan) -> Score:
    return _figures.share(f"{name}@{scan.things}", len(scan.items), scan.things)


def _listed(scan: pii.Scan) -> dict[str, Any]:
    places = [{"place": i, "kinds": sorted({s.kind for s in spans})} for i, spans in list(scan.items.items())[:_LISTED]]
    return {"counts": scan.counts, "characters": scan.characters, "items": places}


def _values(things: Sequence[Any]) -> set[str]:
    """The personal data themselves, for comparison only."""
    texts = [text for thing in things for text in pii.texts_of(thing)]
    return {text[s.start : s.end].casefold() for text in texts for s in pii.find(text) if s.confidence >= CONFIDENT}


def _control(data: Dataset) -> Score:
    """Share of planted sentences found in the data's own text: what the scanner's silence is worth here."""
    chance = random.Random(0)
    hosts = [text for thing in data.train.things[:PLANTED] for text in pii.texts_of(thing)] or [""]
    found = 0
    for plant in planted.plants(PLANTED):
        host = chance.choice(hosts)
        place = host.rfind(" ", 0, chance.randrange(len(host) + 1)) + 1
        text = f"{host[:place]}\n{plant.text}\n{host[place:]}"
        start = len(host[:place]) + 1 + plant.text.index(plant.secret)
        end = start + len(plant.secret)
        found += any(s.start <= start and s.end >= end for s in pii.find(text))
    low, high = wilson(found, PLANTED)
    return Score(f"planted found@{PLANTED}", found / PLANTED, low, high, PLANTED, True)

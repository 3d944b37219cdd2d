"""Guard: what is looked at between drawing a thing and handing it over.

How near is it to a training item, does it quote the training text, does it hold personal data, is it in a blocked
style? The policy says what is recorded and what is withheld; what is withheld is said, with its reason, and never
silently replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from makar.core.artifact import Artifact
from makar.data import Dataset, pii
from makar.provenance import nearest, verbatim
from makar.provenance.moderation import Blocklist
from makar.provenance.receipts import Nearness
from makar.verbs.audits import indices, style
from makar.verbs.chain import Chain
from makar.verbs.trained import Trained


@dataclass(frozen=True)
class Kept:
    """Outputs that may be handed over, how near each is to the training data, and why others may not."""

    artifacts: list[Artifact] = field(default_factory=list)
    nearest: list[Nearness | None] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)


def remember_items(chain: Chain, data: Dataset, trained: Trained) -> None:
    """Keep, in the workspace, what the guard needs to know of the training items. It is in no bundle."""
    if not chain.on:
        return
    digest, policy = data.manifest.digest, chain.policy
    if policy.copies != "off" and nearest.load(chain.home, digest) is None:
        nearest.save(indices.index_of(data, trained.codec), chain.home)
    if policy.verbatim and data.modality == "text" and verbatim.load(chain.home, digest) is None:
        verbatim.save(verbatim.build(list(data.train.things), data.manifest.items["train"], digest), chain.home)


def guard(chain: Chain, trained: Trained, artifacts: Sequence[Artifact]) -> Kept:
    """What of the outputs may be handed over under the policy."""
    distances = near(chain, trained, artifacts)
    quotes = verbatim.load(chain.home, trained.manifest.digest) if chain.on and chain.policy.verbatim else None
    manners = of_blocked_styles(chain, trained, artifacts)
    kept = Kept()
    for artifact, distance, manner in zip(artifacts, distances, manners, strict=True):
        why = objection(chain, artifact, distance, quotes) or manner
        if why:
            kept.withheld.append(f"output {artifact.recipe['index']}: {why}")
        else:
            kept.artifacts.append(artifact)
            kept.nearest.append(distance)
    return kept


def near(chain: Chain, trained: Trained, artifacts: Sequence[Artifact]) -> list[Nearness | None]:
    """How near each output is to the training items; None where this workspace has no index of them."""
    found = None
    if chain.on and chain.policy.copies != "off":
        things, manifest = [a.content for a in artifacts], trained.manifest
        found = indices.judge(chain.home, manifest.digest, manifest.modality, things, trained.codec)
    return [None] * len(artifacts) if found is None else list(found)


def of_blocked_styles(chain: Chain, trained: Trained, artifacts: Sequence[Artifact]) -> list[str]:
    """For each output why it is withheld for its style, in a sentence; empty where it is not."""
    reasons = [""] * len(artifacts)
    if not chain.on:
        return reasons
    for blocked in style.in_force(chain.home, chain.policy, trained.manifest.modality):
        said = blocked.refusals([_in_levels(a.content, trained.levels, blocked.levels) for a in artifacts])
        reasons = [before or why for before, why in zip(reasons, said, strict=True)]
    return reasons


def _in_levels(thing: Any, levels: int, wanted: int) -> Any:
    """A picture with values below `wanted` in place of `levels`; a text as it is, which has 0."""
    if not wanted or levels == wanted:
        return thing
    return np.rint(thing * ((wanted - 1) / (levels - 1))).astype(np.uint8)


def objection(chain: Chain, artifact: Artifact, distance: Nearness | None, quotes: verbatim.Quotes | None) -> str:
    """Why an output is withheld, in a sentence; empty where it is not."""
    policy = chain.policy
    if why := blocked(chain, artifact):
        return why
    if not chain.on:
        return ""
    if distance is not None and (why := nearest.objection(distance, policy.copies)):
        return why
    text = words_of(artifact)
    if quotes is not None and text is not None and (passage := quotes.guard(text, policy.verbatim)):
        return (
            f"it quotes {passage.length} characters of training item {passage.item[:12]}, "
            f"and the policy allows {policy.verbatim - 1}"
        )
    if policy.pii == "refuse" and text is not None and (found := pii.find(text)):
        return f"it holds what looks like personal data ({', '.join(sorted({f.kind for f in found}))})"
    return ""


def blocked(chain: Chain, artifact: Artifact) -> str:
    """Why an output that holds words that the policy blocks is withheld, chain on or off; empty where it is not."""
    text = words_of(artifact) if chain.policy.blocked else None
    return "" if text is None else Blocklist(tuple(chain.policy.blocked)).refusal(text, "output") or ""


def words_of(artifact: Artifact) -> str | None:
    """The text in an output, where there is any."""
    if artifact.kind == "text":
        return str(artifact.content)
    if artifact.kind == "rows":
        return "\n".join(str(value) for value in artifact.content.values() if isinstance(value, str))
    return None

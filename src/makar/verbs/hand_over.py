"""Hand over: from a model to files that may leave, in one go.

Permitted, drawn with the watermark in, looked at by the guard, written with receipts and credentials, and entered in
the ledger. What the command line does and what Python's `Fitted.export` does is this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makar.core.artifact import Artifact
from makar.core.errors import MakarError
from makar.provenance.moderation import Blocklist
from makar.provenance.receipts import Mark
from makar.verbs import _outputs, export, sample
from makar.verbs.bundle import read, sha256
from makar.verbs.chain import Chain
from makar.verbs.guard import guard
from makar.verbs.issue import Origin, issue
from makar.verbs.permit import permit
from makar.verbs.trained import Trained
from makar.verbs.verify_bundle import record, stands


@dataclass(frozen=True)
class HandedOver:
    """The files written, what is in them, what was withheld and why, and what is said of the watermark."""

    written: tuple[Path, ...]
    artifacts: tuple[Artifact, ...]
    withheld: tuple[str, ...]
    said: Mark


def require_vouched(chain: Chain, bundle: Path) -> None:
    """Refuse to sign receipts over a bundle that was altered, or that nobody known here vouches for.

    One without a signature is vouched for by the workspace's own ledger, if it was saved here before there were keys.
    """
    if chain.keys is None:
        return
    found = stands(bundle, chain.anchors)
    if found.state == "absent" and record(bundle, "chain.json").get("signer") is None:
        digests = sha256(read(bundle / "digests.json"))
        if any(entry.body.get("bundle") == digests for entry in chain.ledger.entries("model")):
            return
    if found.state != "holds":
        raise MakarError(
            f"receipts would be signed over {bundle}, and {found.why}; give its maker's public key to "
            f"{chain.home.anchors} if you know it, or sample with --no-chain"
        )


def hand_over(
    chain: Chain,
    trained: Trained,
    out: Path,
    n: int,
    seed: int = 0,
    label: str | int | Sequence[int] | None = None,
    sampler: str | None = None,
    settings: dict[str, Any] | None = None,
    bundle: Path | None = None,
    prompt: str = "",
    length: int | None = None,
) -> HandedOver:
    """Draw n things and write them into `out`; `bundle` is the folder that the model was read from.

    Texts begin with `prompt` and have `length` characters at most. Raises MakarError where that is not permitted, and
    where the policy withholds all of them.
    """
    permit(chain, "sample", trained.manifest, [trained.id])
    if refused := Blocklist(tuple(chain.policy.blocked)).refusal(prompt, "prompt"):
        raise MakarError(f"{refused}; ask for something else, or change the policy")
    _outputs.require_ours(out, export.names(trained.manifest.modality, n))
    if bundle is not None:
        require_vouched(chain, bundle)
    mark, said = chain.watermark(trained, sample.default_sampler(trained, sampler, settings, prompt, length))
    made = sample.sample(trained, n, seed, label, sampler, settings, mark, prompt, length)
    kept = guard(chain, trained, made)
    if not kept.artifacts:
        raise MakarError(f"all {n} outputs were withheld; the first: {kept.withheld[0]}")
    written = issue(chain, Origin.of(trained, bundle, mark, said), kept.artifacts, out, kept.nearest)
    return HandedOver(tuple(written), tuple(kept.artifacts), tuple(kept.withheld), said)

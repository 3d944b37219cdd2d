"""Permit: may this data be trained on, may this model be drawn from? Consent and the policy's block list say.

Turning the chain off turns the records off, and not these.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Literal

from makar.core.errors import MakarError
from makar.data import Manifest
from makar.provenance import consent, signed
from makar.provenance.moderation import Blocklist
from makar.verbs._shown import json_lines
from makar.verbs.chain import Chain


def permit(chain: Chain, act: Literal["train", "sample"], manifest: Manifest, of: Collection[str] = ()) -> None:
    """Raise MakarError where consent is needed and not given, or where the policy blocks what the data are of.

    `of` are further names of what is done, such as the model's id.
    """
    plain = manifest.model_dump(mode="json")
    blocked = Blocklist(tuple(chain.policy.blocked))
    if found := blocked.tagged([manifest.name, manifest.source, *manifest.classes, *consent.tags_of(plain)]):
        raise MakarError(
            f"the policy blocks {', '.join(found)}, and the data {manifest.name} is of it; "
            f"leave those items out with blocked=, or change the policy"
        )
    names = {manifest.name, manifest.digest, *of}
    held = consent.tokens(chain.home.consent)
    check = signed.known_to(chain.anchors)
    consent.require(plain, act, names, held, check, revoked(chain), datetime.now(UTC))


def revoked(chain: Chain) -> set[str]:
    """Ids of consents that were taken back. Raises MakarError where the register of withdrawals cannot be read."""
    return consent.revocations(json_lines(chain.home.withdrawn))

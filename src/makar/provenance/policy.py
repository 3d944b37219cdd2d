"""Policy: a workspace's own rules, in one file that is versioned with what it governs.

`MAKAR_HOME/policy.toml` holds them; without the file the defaults below are in force. Its digest is in every receipt.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from makar.core import files
from makar.core.errors import MakarError, did_you_mean

Use = Literal["private", "research", "commercial"]

_LARGEST = 1 << 20  # bytes of a policy that are read


class Policy(BaseModel):
    """What is done with every model and output of a workspace."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "default"
    version: str = "1"
    chain: bool = True  # ledger, receipts, credentials, signatures; False is recorded in card and receipts
    watermark: str = "auto"  # "auto", "off", or a watermark's name
    labels: list[Literal["eu", "cn"]] = []  # visible labels and metadata fields put on outputs
    prompt: Literal["digest", "text"] = "digest"  # what of a prompt a receipt keeps
    copies: Literal["record", "refuse", "off"] = "record"  # outputs nearer to a training item than others are
    verbatim: int = Field(default=0, ge=0)  # characters of training text in a row that refuse a text; 0: none
    pii: Literal["off", "refuse"] = "off"  # personal data found in generated text
    blocked: list[str] = []  # styles, creators or tags that are neither trained on nor asked for
    approvers: list[str] = []  # fingerprints of keys, one of which must approve before anything is released
    uses: list[Use] = ["private", "research", "commercial"]  # what outputs may be released for
    profiles: list[str] = []  # jurisdictions whose missing evidence blocks a release

    def digest(self) -> str:
        """Sha256 over its fields."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def load(cls, path: Path) -> Self:
        """The policy in a file, or the defaults where there is no such file. Raises MakarError where it is none."""
        try:
            if not (path.exists() or path.is_symlink()):
                return cls()
            plain = tomllib.loads(files.read(path, _LARGEST).decode())
        except (OSError, ValueError, RecursionError) as error:
            raise MakarError(f"the policy {path} cannot be read: {error}") from None
        strange = sorted(set(plain) - set(cls.model_fields))
        if strange:
            raise MakarError(
                f"the policy {path} has no setting '{strange[0]}'{did_you_mean(strange[0], cls.model_fields)}"
            )
        try:
            return cls.model_validate(plain)
        except ValidationError as error:
            first = error.errors()[0]
            raise MakarError(
                f"the policy {path}: {'.'.join(map(str, first['loc']))} is wrong: {first['msg'].lower()}"
            ) from None

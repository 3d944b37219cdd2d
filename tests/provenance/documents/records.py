"""Records of bundles that the tests of documents share: plain, mixed, scored, and with hostile words in every name."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from makar.provenance.records import Records

HOSTILE = [
    "a: b\n---\nlicense: mit",
    '"]}, {"evil": "yes',
    "<script>alert(document)</script>",
    "![x](javascript:alert) [y](data:text/html) | cell | `code`",
    "\u202eedils\u202c\u2028next\x00\x1b[m",
    "*bold* _under_ # head\n# heading",
    "{{ jinja }} ${shell} $math$ \\",
    "entity a&#49;b &lt; &amp;#50; 7. item",
    "9. item",
    "lone \ud800 surrogate \ufffe",
    "- item\n  key: &anchor *alias !tag",
    "\U0001f600 café 文字 العربية",
]

CONFIG: dict[str, Any] = {
    "format": 2,
    "id": hashlib.sha256(b"model").hexdigest(),
    "family": "gaussian",
    "settings": {"shrinkage": None, "floor": 1e-06},
    "space": {"space": "Levels", "shape": [1, 8, 8], "levels": 17},
    "condition": {"space": "Classes", "count": 10},
    "codec": "pixels",
    "codec_settings": {"levels": 17},
    "codec_state": {"shape": [1, 8, 8]},
    "levels": 17,
    "class_counts": [118, 137],
    "parameters": 41674,
}
DATA: dict[str, Any] = {
    "name": "digits",
    "modality": "pictures",
    "source": "UCI Optical Recognition of Handwritten Digits via scikit-learn",
    "licence": "CC-BY-4.0",
    "attribution": "E. Alpaydin and C. Kaynak (1998), https://doi.org/10.24432/C50P49",
    "counts": {"train": 3, "held_out": 2},
    "classes": ["zero", "one"],
    "items": {
        "train": [hashlib.sha256(f"train {i}".encode()).hexdigest() for i in range(3)],
        "held_out": [hashlib.sha256(f"held {i}".encode()).hexdigest() for i in range(2)],
    },
    "split": "by content, the items of lowest digest held out",
    "notes": ["7 duplicates were dropped"],
    "digest": hashlib.sha256(b"manifest").hexdigest(),
    "origin": "public",
}
RUN: dict[str, Any] = {
    "recipe": {"family": "gaussian", "seed": 5, "budget": {"cpu": 20.0}, "threads": 1},
    "steps": 1234,
    "plan": [[0, 0.0], [1234, 1.5]],
    "cpu_seconds": 2.34567,
    "seconds": 2.5,
    "flops": 10625024.0,
    "joules": None,
    "history": [{"step": 1, "loss": 111.8}],
    "events": [],
    "machine": {"processor": "AMD EPYC 7742", "cores": 2, "threads": 1, "cuda": None},
    "made": "2026-11-22T00:19:00Z",
    "code": {"makar": "0.1.0", "source": hashlib.sha256(b"source").hexdigest()},
    "environment": {"torch": "2.13.0+cpu", "numpy": "2.1.3", "scikit-learn": "1.7.2"},
}
RIGHTS: dict[str, Any] = {
    "version": 1,
    "licences": {"digits": "CC-BY-4.0"},
    "expression": "CC-BY-4.0",
    "train": "yes",
    "model": "yes",
    "outputs": "yes",
    "attribution": [{"source": "digits", "licence": "CC-BY-4.0", "words": "E. Alpaydin and C. Kaynak (1998)"}],
    "share_alike": "",
    "field_limits": [],
    "accepted": [],
    "reasons": [
        {
            "source": "digits",
            "licence": "CC-BY-4.0",
            "what": "attribution",
            "value": "due",
            "why": "it allows any use where the makers are named",
        }
    ],
}
CHAIN: dict[str, Any] = {
    "on": True,
    "signer": "ab12cd34",
    "policy": hashlib.sha256(b"policy").hexdigest(),
    "watermark": {"name": "spectrum"},
}
SCORES = [
    {
        "name": "fd[probe-digits-1a2b]@500",
        "value": 12.34567,
        "low": 11.5,
        "high": 13.25,
        "n": 500,
        "higher_is_better": False,
        "caveats": ["the extractor saw 1,297 items"],
    },
    {"name": "coverage@500", "value": 0.875, "low": 0.81, "high": 0.92, "n": 500, "higher_is_better": True},
]


@dataclass(frozen=True)
class WithScores(Records):
    """Records of a bundle that holds a score.json as well."""

    score: dict[str, Any] = field(default_factory=dict)


def manifest_bytes(data: dict[str, Any]) -> bytes:
    """data.json as a bundle holds it."""
    return (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")


def make(*, scored: bool = False, **changes: Any) -> Records:
    """The records of a small run, with fields of `config`, `data`, `run`, `rights` or `chain` changed."""
    plain = {"config": CONFIG, "data": DATA, "run": RUN, "rights": RIGHTS, "chain": CHAIN}
    files = {name: copy.deepcopy(value) | changes.get(name, {}) for name, value in plain.items()}
    digests = {
        "model.safetensors": hashlib.sha256(b"weights").hexdigest(),
        "data.json": hashlib.sha256(manifest_bytes(files["data"])).hexdigest(),
    }
    if scored:
        return WithScores(**files, digests=digests, score={"scores": copy.deepcopy(SCORES)})
    return Records(**files, digests=digests)


def mixed() -> Records:
    """A mix of a free and a non-commercial part, with evidence of an opt-out."""
    members = [
        {"name": "digits", "licence": "CC-BY-4.0", "source": "UCI", "attribution": "E. Alpaydin", "origin": "public"},
        {
            "name": "art",
            "licence": "CC-BY-NC-SA-4.0",
            "source": "a museum",
            "attribution": "N. N.",
            "origin": "crawled",
        },
    ]
    evidence = [
        {
            "kind": "robots.txt",
            "url": "https://example.org/robots.txt",
            "time": "2026-11-20T10:00:00Z",
            "sha256": "c3" * 32,
            "verdict": "no",
            "why": "all paths are disallowed",
            "items": ["https://example.org/1", "https://example.org/2"],
        }
    ]
    for member in members:
        member["digest"] = hashlib.sha256(member["name"].encode()).hexdigest()
    return make(
        data={
            "name": "mix",
            "origin": "mixed",
            "licence": "CC-BY-4.0 AND CC-BY-NC-SA-4.0",
            "members": members,
            "optouts": evidence,
        },
        rights={
            "licences": {"digits": "CC-BY-4.0", "art": "CC-BY-NC-SA-4.0"},
            "model": "no",
            "outputs": "no",
            "share_alike": "CC-BY-NC-SA-4.0",
            "reasons": [
                {
                    "source": "art",
                    "licence": "CC-BY-NC-SA-4.0",
                    "what": "model",
                    "value": "no",
                    "why": "it allows no commerce",
                }
            ],
        },
    )


def hostile(text: str) -> Records:
    """Records whose names, notes and attributions are `text`."""
    member = {"name": text, "licence": "MIT", "source": text, "attribution": text, "digest": "d4" * 32}
    return make(
        scored=True,
        config={"codec": text, "settings": {text: text}},
        data={
            "name": text,
            "source": text,
            "attribution": text,
            "classes": [text, text + " too"],
            "notes": [text],
            "split": text,
            "members": [member],
            "optouts": [{"signal": text}],
            "licence": "LicenseRef-own",
        },
        run={"events": [{"kind": text, "why": text}], "machine": {"processor": text}},
        rights={
            "licences": {text: "LicenseRef-own"},
            "reasons": [{"source": text, "licence": text, "what": "model", "value": text, "why": text}],
            "attribution": [{"source": text, "licence": text, "words": text}],
            "accepted": [text],
            "share_alike": text,
        },
        chain={"watermark": {"name": text}},
    )

"""What the audits find and what they raise by mistake: planted copies, quotes and personal data, and clean data.

    python benchmarks/audits.py [--text NAME=FILE ...]

Clean text is the reference manual of Python, its library's source, the licences of what is installed, and any --text.
"Findings" there are all findings: e-mail addresses in licences are real.
"""

from __future__ import annotations

import argparse
import pydoc_data.topics
import sysconfig
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _bench import RESULTS, table

from makar.core.files import write_json
from makar.core.spaces import Levels
from makar.data import load, pii, planted
from makar.data.contamination import contamination
from makar.provenance import nearest, verbatim
from makar.verbs.audits.copying import copying
from makar.verbs.audits.extraction import extraction
from makar.verbs.audits.membership import membership
from makar.verbs.machine import describe
from makar.verbs.train import fit

DIGEST = "0" * 64
PIECE = 400  # characters of a text that the verbatim guard is asked about
QUOTED: dict[str, Callable[[str], str]] = {
    "as it is": str, "in capitals": str.upper, "spaces doubled": lambda t: t.replace(" ", "  "),
}  # fmt: skip
FAMILIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("independent", {}), ("gaussian", {}), ("mixture", {}), ("ngram", {}),
    ("kernel", {}), ("kernel", {"bandwidth": 0.02}),
)  # fmt: skip


def cpu(action: Callable[[], Any], times: int = 1) -> float:
    """Median CPU seconds of an action."""
    spent = []
    for _ in range(times):
        begun = time.process_time()
        action()
        spent.append(time.process_time() - begun)
    return float(np.median(spent))


def changes(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Digits (n, 1, 8, 8), changed."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))
    moved = {
        f"moved by ({down}, {right})": padded[..., 1 - down : 9 - down, 1 - right : 9 - right]
        for down, right in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1))
    }
    noisy = {f"noise {s:g} of 16": (x + s * noise).round().clamp(0, 16).long() for s in (0.5, 1.0, 1.5, 2.0)}
    bright = {"x 0.6": (x * 0.6).round().long(), "+ 3": (x + 3).clamp(0, 16)}
    turned = {"mirrored": x.flip(-1), "turned by 90 degrees": x.rot90(1, (-2, -1))}
    return {"unchanged": x} | noisy | moved | bright | turned | {"blurred": blurred(x)}


def blurred(x: torch.Tensor) -> torch.Tensor:
    """Averaged with weights 1, 2, 1 in both directions, edges repeated."""
    weights = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16
    padded = torch.nn.functional.pad(x.float(), (1, 1, 1, 1), mode="replicate")
    return torch.nn.functional.conv2d(padded, weights[None, None]).round().long()


def index_rates() -> dict[str, Any]:
    data = load("digits")
    train, held = (torch.from_numpy(np.stack(s.things)).permute(0, 3, 1, 2).long() for s in (data.train, data.held_out))
    index = nearest.build(train, held, data.manifest.items["train"], DIGEST, Levels((1, 8, 8), 17))
    found = {name: sum(map(nearest.is_copy, index.judge(x))) / len(x) for name, x in changes(train).items()}
    alarms = []
    for seed in range(10):
        order = torch.randperm(len(held), generator=torch.Generator().manual_seed(seed))
        half = nearest.build(train, held[order[:250]], index.items, DIGEST, Levels((1, 8, 8), 17))
        alarms += [nearest.is_copy(n) for n in half.judge(held[order[250:]])]
    many = nearest.build(
        torch.randint(0, 17, (60_000, 1, 8, 8)), held, ["0" * 64] * 60_000, DIGEST, Levels((1, 8, 8), 17)
    )
    return {
        "threshold": index.threshold, "stated_rate": index.rate,
        "alarms_on_fresh": {"calibrated_on": 250, "share": float(np.mean(alarms)), "n": len(alarms)},
        "found": {"n": len(train), **found},
        "ms_a_picture": {
            "1297": 1e3 * cpu(lambda: index.nearest(held[:1]), 200),
            "1297, in batches of 500": 1e3 * cpu(lambda: index.nearest(held), 3) / len(held),
            "60000": 1e3 * cpu(lambda: many.nearest(held[:1]), 20),
        },
    }  # fmt: skip


def verbatim_rates(name: str, text: str) -> dict[str, Any]:
    pieces = [text[i : i + PIECE] for i in range(0, len(text) - PIECE, PIECE)]
    order = np.random.default_rng(0).permutation(len(pieces))
    train = [pieces[i] for i in order[: len(order) * 4 // 5]]
    fresh = [pieces[i] for i in order[len(order) * 4 // 5 :]]
    ids = [f"{i:064x}" for i in range(len(train))]
    seconds = cpu(lambda: verbatim.build(train, ids, DIGEST))
    quotes = verbatim.build(train, ids, DIGEST)
    limit = quotes.limit(fresh[::2], 0.01)
    stopped = [quotes.guard(t, limit) is not None for t in fresh[1::2]]
    usable = [even for t in train if len(even := " ".join(t.split())) >= limit]  # a limit counts spaces evened out
    pairs = list(zip(fresh, usable, strict=False))
    caught = {
        name: {"share": float(np.mean([quotes.guard(f"{f[:200]}{change(t[:limit])}{f[200:]}", limit) is not None
                                       for f, t in pairs])), "n": len(pairs)}
        for name, change in QUOTED.items()
    }  # fmt: skip
    size = sum(a.nbytes for a in (quotes.text, quotes.seeds, quotes.places, quotes.ends))
    return {
        "text": name, "characters": len(text), "limit_at_1_percent": limit,
        "fresh_stopped": {"share": float(np.mean(stopped)), "n": len(stopped)},
        "planted_caught": caught,
        "piece": PIECE,
        "ms_a_piece": 1e3 * cpu(lambda: quotes.longest(fresh[0]), 50),
        "build_seconds": seconds, "bytes_a_character": size / sum(map(len, train)),
    }  # fmt: skip


def pii_rates(texts: dict[str, str]) -> dict[str, Any]:
    sentences = planted.plants(3000, seed=5)
    total, found = Counter(p.kind.partition("-")[0] for p in sentences), Counter[str]()
    for p in sentences:
        start = p.text.index(p.secret)
        spans = pii.find(p.text)
        found[p.kind.partition("-")[0]] += any(s.start <= start and s.end >= start + len(p.secret) for s in spans)
    clean = []
    for name, text in texts.items():
        begun = time.process_time()
        spans = pii.find(text)
        clean.append({
            "text": name, "characters": len(text), "findings": dict(Counter(s.kind for s in spans)),
            "per_million": 1e6 * len(spans) / len(text),
            "cpu_seconds_a_million": 1e6 * (time.process_time() - begun) / len(text),
        })  # fmt: skip
    return {"recall": {k: found[k] / total[k] for k in sorted(total)}, "n": dict(total), "clean": clean}


def audit_rates() -> list[dict[str, Any]]:
    data = load("digits")
    cells = []
    for family, settings in FAMILIES:
        trained = fit(family, data, "5s", settings=settings)
        for audit in (membership, extraction, copying):
            result = audit(trained, data)
            cells.append({"family": family, "settings": settings} | result.to_json())
    return cells


def clean_texts(given: list[str]) -> dict[str, str]:
    library = Path(sysconfig.get_paths()["stdlib"])
    packages = Path(sysconfig.get_paths()["purelib"])
    texts = {
        "manual of Python": "\n".join(dict.fromkeys("\n".join(pydoc_data.topics.topics.values()).splitlines())),
        "source of Python's library": _joined(sorted(library.glob("*.py"))[:60]),
        "licences": _joined(sorted(p for p in packages.rglob("LICENSE*") if p.is_file())),
    }
    for pair in given:
        name, _, path = pair.partition("=")
        texts[name] = Path(path).read_text("utf-8")
    return texts


def _joined(paths: list[Path]) -> str:
    return "\n".join(p.read_text("utf-8", "replace") for p in paths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--text", nargs="*", default=[], metavar="NAME=FILE", help="more clean text")
    parser.add_argument("--out", type=Path, default=RESULTS / "audits.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    texts = clean_texts(args.text)
    prose = {name: text for name, text in texts.items() if name not in ("licences", "source of Python's library")}
    found: dict[str, Any] = {
        "machine": describe(),
        "index": index_rates(),
        "verbatim": [verbatim_rates(name, text) for name, text in prose.items()],
        "pii": pii_rates(texts),
        "contamination": [
            {"check": c.name, "share": c.share, "usual": c.usual, "n": c.looked_at}
            for c in contamination(load("digits"))
        ],
        "audits": audit_rates(),
    }
    write_json(args.out, found)
    shown = ("membership auc", "membership tpr", "near copies", "c_t", "authenticity")
    rows = [
        [c["family"], c["settings"] or "", c["name"], c["finding"], "; ".join(
            f"{f['name'].partition('@')[0]} {f['value']:.3f}" for f in c["figures"] if f["name"].startswith(shown))]
        for c in found["audits"]
    ]  # fmt: skip
    print(table(["family", "settings", "audit", "finding", "figures"], rows))
    for part in ("index", "verbatim", "pii", "contamination"):
        print(part, found[part])


if __name__ == "__main__":
    main()

"""Marks in text: how often found where they are not, where they are, and after attacks; and what they cost.

    python benchmarks/text_watermarks.py FOLDER [--most N] [--maker 'ngram bytes' ...] [--out FILE]

FOLDER holds the King James Bible as `bible.py prepare` leaves it. Makers are Kneser-Ney n-grams of bytes and of byte
pairs and a transformer of 30 CPU seconds. Human text is the Bible's own (which the makers imitate: the hardest case)
and the source code of the installed packages. Rates are given as hits of n; times are CPU seconds of this process.
"""

from __future__ import annotations

import argparse
import math
import random
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from _bench import RESULTS, Cell, Results, table

from makar.core import registry
from makar.core.codec import Codec
from makar.core.noise import Noise, seed_from
from makar.core.watermark import Watermark
from makar.verbs.sample import TILE, make_sampler

MAKERS = ("ngram bytes", "ngram bpe", "transformer bytes", "transformer bpe")
MARKS = ("tournament", "greenlist")
LENGTHS = (50, 100, 200, 400, 1000)  # symbols
ATTACKED = 400  # symbols of a text that is attacked
TEXTS = 128
WINDOW = 250  # characters of a clean window
WINDOWS = 10_400  # of each corpus
KEYS = 8  # keys that are each held against the same windows, a tenth of them

Maker = tuple[Any, Codec]
Attack = Callable[[str, random.Random], str]


def key(*parts: object) -> bytes:
    """32 bytes that are no secret: a benchmark must be repeatable."""
    return b"".join(seed_from(*parts, i).to_bytes(8, "little") for i in range(4))


def chapters(folder: Path, side: str) -> list[str]:
    return [p.read_text(encoding="utf-8") for p in sorted((folder / side).glob("*.txt"))]


@cache
def maker(name: str, folder: Path) -> Maker:
    """A model and its codec; the n-grams learn from every second chapter, the other half is for judging them."""
    family, _, kind = name.partition(" ")
    long = family == "ngram"
    settings: dict[str, Any] = {"length": 1100 if long else 256} | ({"vocab": 1000} if kind == "bpe" else {})
    codec_type, model_type = registry.load("codecs", kind), registry.load("families", family)
    if not long:
        from makar.data import load
        from makar.verbs.train import fit

        trained = fit(
            family,
            load(f"text:{folder}", accept=f"text:{folder.name}"),
            "30s",
            0,
            {},
            codec=kind,
            codec_settings=settings,
        )
        return trained.model, trained.codec
    documents = chapters(folder, "train")[::2]
    codec = codec_type(codec_type.Config(**settings)).fit(documents)
    return ngram(codec, documents, model_type), codec


def ngram(codec: Any, documents: list[str], kind: Any) -> Any:
    model = kind(codec.space, None, kind.Config(order=6 if codec.space.vocab <= 512 else 3))
    model.count(codec.encode(documents), None)
    return model


def make_mark(name: str, secret: bytes, made: Maker, **settings: Any) -> Watermark:
    kind = registry.load("watermarks", name)
    mark: Watermark = kind(kind.Config(**settings), secret, made[0], made[1])
    return mark


def draw(made: Maker, seed: int, steps: int, mark: Watermark | None = None, prompt: Sequence[int] = ()) -> torch.Tensor:
    """Symbols (TILE, steps) of the first outputs of a seed."""
    model, codec = made
    sampler = make_sampler(model, "ancestral", {"prompt": (*codec.prompt(), *prompt)})
    assert sampler is not None
    noise = Noise.rows(seed, range(TILE))
    rows = torch.empty(0)
    with torch.inference_mode():
        for rows in sampler.partials(model, noise if mark is None else mark.noise(noise)):
            if rows.shape[1] > steps:
                break
    return rows


def texts(
    made: Maker, mark_name: str | None, symbols: int, count: int = TEXTS, **settings: Any
) -> list[tuple[str, Watermark | None]]:
    """Texts of about so many symbols, each tile with a key of its own."""
    found: list[tuple[str, Watermark | None]] = []
    for tile in range(-(-count // TILE)):
        mark = None if mark_name is None else make_mark(mark_name, key("own", tile), made, **settings)
        found += [(text, mark) for text in written(made[1], draw(made, 100 + tile, symbols, mark))]
    return found[:count]


def written(codec: Any, rows: torch.Tensor) -> list[str]:
    """The rows as texts. A document that ends is followed by the next: the marker between is left out."""
    kept = [row[row != codec.space.start] for row in rows]
    return [codec.decode(row.unsqueeze(0))[0] for row in kept]


def share(found: Sequence[float | None], level: float) -> float:
    return round(sum(p is not None and p < level for p in found) / len(found), 5)


def windows(corpus: str, folder: Path) -> list[str]:
    """Clean windows of human text, without overlap."""
    if corpus == "bible":
        pieces: Iterator[str] = iter(
            chapters(folder, "held_out") + chapters(folder, "train")[1::2] + chapters(folder, "train")[::2]
        )
    else:
        site = Path(sysconfig.get_paths()["purelib"])
        pieces = (p.read_text(encoding="utf-8", errors="replace") for p in sorted(site.rglob("*.py")))
    found: list[str] = []
    for piece in pieces:
        found += [piece[i : i + WINDOW] for i in range(0, len(piece) - WINDOW + 1, WINDOW)]
        if len(found) >= WINDOWS:
            break
    return found[:WINDOWS]


def false_alarms(made: Maker, mark_name: str, folder: Path, corpus: str) -> Cell:
    """Every window with a key of its own; then a few keys, each against the same windows."""
    clean = windows(corpus, folder)
    begun = time.process_time()
    own = [make_mark(mark_name, key("clean", i), made).detect(text).p_value for i, text in enumerate(clean)]
    cost = (time.process_time() - begun) / len(clean)
    fixed = []
    for number in range(KEYS):
        mark = make_mark(mark_name, key("fixed", number), made)
        fixed.append([mark.detect(text).p_value for text in clean[::10]])
    return {
        "n": len(clean),
        "unjudged": sum(p is None for p in own),
        **{f"p<{level:g}": share(own, level) for level in (1e-1, 1e-2, 1e-3, 1e-4)},
        "one key for all, n": len(fixed[0]),
        "one key for all, worst of 8, p<1e-2": max(share(f, 1e-2) for f in fixed),
        "one key for all, worst of 8, p<1e-3": max(share(f, 1e-3) for f in fixed),
        "one key for all, mean, p<1e-3": round(sum(share(f, 1e-3) for f in fixed) / KEYS, 5),
        "cpu_ms_to_detect": round(1e3 * cost, 3),
    }


def rates(found: Sequence[float | None]) -> Cell:
    judged = sorted(p if p is not None else 1.0 for p in found)
    return {
        "p<1e-3": share(found, 1e-3),
        "p<1e-6": share(found, 1e-6),
        "median p": float(f"{judged[len(judged) // 2]:.2g}"),
    }


def by_length(made: Maker, mark_name: str, **settings: Any) -> Cell:
    """Found of so many symbols from the beginning of each text, written and read again."""
    model, codec = made
    result: Cell = {}
    longest = [n for n in LENGTHS if n <= model.length - 1][-1]
    tiles = [
        (draw(made, 100 + tile, longest, mark), mark)
        for tile in range(TEXTS // TILE)
        for mark in [make_mark(mark_name, key("own", tile), made, **settings)]
    ]
    for length in (n for n in LENGTHS if n <= longest):
        found = [mark.detect(t).p_value for rows, mark in tiles for t in written(codec, rows[:, : 1 + length])]
        result[str(length)] = rates(found)
    return result


# Attacks --------------------------------------------------------------------------------------------------------------


def words(text: str) -> list[str]:
    return text.split(" ")


def delete_words(part: float) -> Attack:
    return lambda text, chance: " ".join(w for w in words(text) if chance.random() >= part)


def insert_words(part: float, pool: list[str]) -> Attack:
    def attack(text: str, chance: random.Random) -> str:
        return " ".join(w + (" " + chance.choice(pool) if chance.random() < part else "") for w in words(text))

    return attack


def replace_words(part: float, pool: list[str]) -> Attack:
    return lambda text, chance: " ".join(chance.choice(pool) if chance.random() < part else w for w in words(text))


def swap_words(part: float) -> Attack:
    """Neighbours change places."""

    def attack(text: str, chance: random.Random) -> str:
        parts = words(text)
        for i in range(len(parts) - 1):
            if chance.random() < part / 2:
                parts[i], parts[i + 1] = parts[i + 1], parts[i]
        return " ".join(parts)

    return attack


def replace_characters(part: float) -> Attack:
    letters = "abcdefghijklmnopqrstuvwxyz ,"
    return lambda text, chance: "".join(chance.choice(letters) if chance.random() < part else c for c in text)


def within_human(part: float, human: list[str]) -> Attack:
    """The text is `part` of what is read; human text stands before and after it."""

    def attack(text: str, chance: random.Random) -> str:
        around = "".join(chance.sample(human, 1 + int(len(text) * (1 / part - 1) / WINDOW)))
        around = around[: int(len(text) * (1 / part - 1))]
        cut = chance.randrange(len(around))
        return around[:cut] + text + around[cut:]

    return attack


def attacks(folder: Path) -> dict[str, Attack]:
    human = windows("bible", folder)
    pool = words(" ".join(human[:2000]).replace("\n", " "))
    listed: dict[str, Attack] = {"none": lambda text, _: text}
    for part in (0.1, 0.2, 0.4):
        listed[f"delete {part:.0%} of words"] = delete_words(part)
        listed[f"insert {part:.0%} of words"] = insert_words(part, pool)
        listed[f"replace {part:.0%} of words"] = replace_words(part, pool)
        listed[f"replace {part:.0%} of characters"] = replace_characters(part)
    listed["swap 20% of words with a neighbour"] = swap_words(0.2)
    listed["lower case"] = lambda text, _: text.lower()
    listed["upper case"] = lambda text, _: text.upper()
    listed["first half cut off, amid a word"] = lambda text, _: text[len(text) // 2 :]
    listed["a quarter of what is read"] = within_human(0.25, human)
    return listed


def resampled(made: Maker, found: Sequence[str], part: float) -> list[str]:
    """So many of the symbols drawn anew by the model itself, given those before: one likely word for another."""
    model, codec = made
    rows = torch.nn.utils.rnn.pad_sequence([codec.encode([t]).flatten()[: model.length] for t in found], True, -1)
    lengths = (rows >= 0).sum(1)
    noise = Noise.rows(seed_from("resample"), range(len(rows)))
    symbols, cache = rows[:, :1], None
    with torch.inference_mode():
        for place in range(1, int(lengths.max())):
            logits, cache = model.next(symbols, cache)
            anew = noise.uniform() < part
            symbol = torch.where(anew, noise.choice(logits), rows[:, place])
            symbols = torch.cat([symbols, symbol.unsqueeze(1)], 1)
    kept = [row[: int(n)] for row, n in zip(symbols, lengths, strict=True)]
    return [written(codec, row.unsqueeze(0))[0] for row in kept]


def after_attacks(made: Maker, mark_name: str, folder: Path, **settings: Any) -> Cell:
    marked = texts(made, mark_name, min(ATTACKED, made[0].length - 1), **settings)
    result: Cell = {}

    def add(name: str, changed: Sequence[str]) -> None:
        found = [m.detect(t).p_value for t, (_, m) in zip(changed, marked, strict=True) if m is not None]
        result[name] = rates(found)

    for name, attack in attacks(folder).items():
        add(name, [attack(text, random.Random(i)) for i, (text, _) in enumerate(marked)])
    for part in (0.2, 0.4):
        add(f"model draws {part:.0%} of symbols anew", resampled(made, [t for t, _ in marked], part))
    return result


# Quality and cost -----------------------------------------------------------------------------------------------------


def bits_per_byte(model: Any, codec: Any, found: Sequence[str]) -> tuple[float, float]:
    """Mean over texts and its standard error."""
    each = []
    for text in found:
        rows = codec.encode([text])
        with torch.inference_mode():
            each.append(-float(model.symbol_nats(rows).sum()) / math.log(2) / max(1, len(text.encode())))
    x = torch.tensor(each)
    return round(float(x.mean()), 4), round(float(x.std()) / math.sqrt(len(x)), 4)


def distinct(found: Sequence[str], n: int) -> float:
    """Share of different n-grams among all n-grams of words of the texts."""
    grams = [tuple(w[i : i + n]) for w in map(str.split, found) for i in range(len(w) - n + 1)]
    return round(len(set(grams)) / max(1, len(grams)), 4)


def quality(made: Maker, mark_name: str | None, folder: Path, **settings: Any) -> Cell:
    """Texts of one seed: their likelihood under their model and another, a key for each tile; and how various they
    are, all by one key."""
    model, codec = made

    def drawn(secret: bytes, seed: int, symbols: int, prompt: Sequence[int] = ()) -> list[str]:
        mark = None if mark_name is None else make_mark(mark_name, secret, made, **settings)
        return written(codec, draw(made, seed, symbols, mark, prompt))

    many = [t for tile in range(4) for t in drawn(key("quality", tile), 500 + tile, 250)]
    one = [t for tile in range(4) for t in drawn(key("quality"), 500 + tile, 250)]
    prompted = drawn(key("quality"), 0, 120, _prompt(codec))
    kind, family = registry.load("codecs", "bytes"), registry.load("families", "ngram")
    judge_codec = kind(kind.Config(length=2200))
    judge = ngram(judge_codec, chapters(folder, "train")[1::2], family)
    return {
        "n": len(many),
        "bits a byte under its model, and standard error": bits_per_byte(model, codec, many),
        "bits a byte under another, and standard error": bits_per_byte(judge, judge_codec, many),
        **{f"one key, distinct {n}-grams": distinct(one, n) for n in (1, 2, 4)},
        "one key, different texts": len(set(one)),
        "one prompt, different texts of 32": len(set(prompted)),
        "one prompt, distinct 4-grams": distinct(prompted, 4),
    }


def _prompt(codec: Any) -> list[int]:
    symbols: list[int] = codec.encode(["And it came to pass, that the "]).flatten().tolist()
    return [s for s in symbols[1:] if s >= 0]


def cost(made: Maker, mark_name: str, **settings: Any) -> Cell:
    """CPU milliseconds of a step of one tile, plain and marked in turns; the least of five."""
    mark = make_mark(mark_name, key("cost"), made, **settings)
    steps = 96

    def timed(of: Watermark | None) -> float:
        begun = time.process_time()
        draw(made, 0, steps, of)
        return 1e3 * (time.process_time() - begun) / steps

    both = [(timed(None), timed(mark)) for _ in range(5)]
    plain, marked = (min(column) for column in zip(*both, strict=True))
    return {
        "plain_ms": round(plain, 3),
        "marked_ms": round(marked, 3),
        "overhead": round(marked / plain - 1, 3),
        "ms_a_symbol_of_one_text": round((marked - plain) / TILE, 4),
    }


def wanted() -> list[Cell]:
    cells: list[Cell] = []
    for made in MAKERS:
        counted = made.startswith("ngram")
        cells.append({"maker": made, "mark": "none", "what": "quality"})
        for mark in MARKS if counted else MARKS[:1]:
            about = {"maker": made, "mark": mark}
            cells += [about | {"what": what} for what in ("cost", "length", "attacks", "quality")]
            cells += [about | {"what": f"clean {corpus}"} for corpus in ("bible", "code") if counted]
    return cells


def measure(cell: Cell, folder: Path) -> Cell:
    made, mark, what = maker(cell["maker"], folder), cell["mark"], cell["what"]
    begun = time.process_time()
    if what == "quality":
        found = quality(made, None if mark == "none" else mark, folder)
    elif what == "cost":
        found = cost(made, mark)
    elif what == "length":
        found = by_length(made, mark)
    elif what == "attacks":
        found = after_attacks(made, mark, folder)
    else:
        found = false_alarms(made, mark, folder, what.removeprefix("clean "))
    return found | {"cpu_seconds": round(time.process_time() - begun, 1)}


def missed(cells: Sequence[Cell]) -> list[str]:
    """The bars that are not reached."""
    found = []
    for cell in cells:
        name = f"{cell['maker']}, {cell['mark']}, {cell['what']}"
        if cell["what"].startswith("clean"):
            for level in (1e-2, 1e-3):
                n, rate = cell["n"], cell[f"p<{level:g}"]
                if rate > level + 3.1 * math.sqrt(level / n):
                    found.append(f"{name}: {rate} of {n} clean windows below {level:g}")
        if cell["what"] == "length" and cell["200"]["p<1e-3"] < 0.98:
            found.append(f"{name}: {cell['200']['p<1e-3']} found of texts of 200 symbols at p < 1e-3")
        if cell["what"] == "cost" and cell["maker"].startswith("transformer") and cell["overhead"] > 0.3:
            found.append(f"{name}: a step costs {cell['overhead']:.0%} more")
    return found


def report(cells: Sequence[Cell]) -> None:
    for cell in cells:
        print(f"\n{cell['maker']}, {cell['mark']}: {cell['what']}")
        rows = [(k, v) for k, v in cell.items() if k not in ("maker", "mark", "what")]
        if cell["what"] in ("length", "attacks"):
            print(
                table(["", "p<1e-3", "p<1e-6", "median p"], [[k, *v.values()] for k, v in rows if isinstance(v, dict)])
            )
        else:
            print(table(["", ""], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=int, help="make at most so many cells now")
    parser.add_argument("--maker", nargs="+", default=MAKERS, choices=MAKERS, help="only texts of these")
    parser.add_argument("--out", type=Path, default=RESULTS / "text_watermarks.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    protocol = {"texts": TEXTS, "attacked": ATTACKED, "window": WINDOW, "windows": WINDOWS, "keys": KEYS}
    results = Results(args.out, protocol)
    left = [cell for cell in wanted() if cell["maker"] in args.maker and not results.has(cell)]
    for number, cell in enumerate(left[: args.most], 1):
        results.add(cell, measure(cell, args.folder))
        print(f"{number}/{len(left)} {' '.join(cell.values())}", flush=True)
    report(results.cells)
    for bar in missed(results.cells):
        print(f"missed: {bar}")


if __name__ == "__main__":
    main()

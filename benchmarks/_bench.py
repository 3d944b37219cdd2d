"""What the benchmarks share: cells in processes of their own, results as JSON that a later call goes on from, tables.

A *cell* is one measurement: a dictionary of what was asked (`key`) and what was found. Every cell runs in a fresh
process with one thread, so that none sees another's caches, threads or memory. After each the results are written
whole, so a benchmark that was stopped goes on where it was; a cell is made again if the family's code has changed.
"""

from __future__ import annotations

import ast
import json
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import torch

import makar
from makar.core.digest import digest, short
from makar.core.files import write_json
from makar.verbs.machine import describe

RESULTS = Path(__file__).resolve().parent / "results"
Cell = dict[str, Any]


def code(family: str) -> str:
    """Digest of a family's file: its syntax without comments and layout."""
    text = (Path(makar.__file__).parent / "families" / f"{family}.py").read_text(encoding="utf-8")
    return short(digest(ast.dump(ast.parse(text))))


def _one_thread() -> None:
    torch.set_num_threads(1)


def isolated(measure: Callable[..., Cell], *arguments: Any) -> Cell:
    """What `measure(*arguments)` returns in a fresh process with one thread; "error" where that came to no end."""
    started = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_one_thread) as pool:
        try:
            found = pool.submit(measure, *arguments).result()
        except BrokenProcessPool as error:
            found = {"error": str(error)}
    return found | {"wall_seconds": round(time.perf_counter() - started, 1)}


class Results:
    """The cells of a benchmark, on disk after each."""

    def __init__(self, path: Path, protocol: dict[str, Any]) -> None:
        """Takes up the file at `path` where there is one. Raises SystemExit where that is of another protocol."""
        self.path = path
        self.protocol = protocol
        self.cells: list[Cell] = []
        if path.exists():
            saved = json.loads(path.read_text(encoding="utf-8"))
            if saved["protocol"] != json.loads(json.dumps(protocol)):
                raise SystemExit(f"{path} holds results under {saved['protocol']}; give another --out")
            self.cells = saved["cells"]

    def has(self, key: Cell) -> bool:
        return any(key.items() <= cell.items() for cell in self.cells)

    def add(self, key: Cell, found: Cell) -> None:
        """Keep a cell in place of earlier ones with the same key but for the code."""
        same = {name: value for name, value in key.items() if name != "code"}
        self.cells = [cell for cell in self.cells if not same.items() <= cell.items()]
        self.cells.append(key | found)
        self.write()

    def write(self, **more: Any) -> None:
        content = {"protocol": self.protocol, "machine": describe(), "cells": self.cells} | more
        write_json(self.path, content)


def make(results: Results, wanted: Sequence[Cell], measure: Callable[..., Cell], most: int | None = None) -> None:
    """Make the wanted cells that are not there yet, at most `most`; `measure` is given a key's values but the code."""
    left = [key for key in wanted if not results.has(key)]
    for number, key in enumerate(left[:most], 1):
        found = isolated(measure, *(value for name, value in key.items() if name != "code"))
        results.add(key, found)
        words = " ".join(str(value) for name, value in key.items() if name != "code")
        print(f"{number}/{len(left)} {words}: {found.get('error', '')}", flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table in Markdown, its columns aligned."""
    cells = [[str(value) for value in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = ["| " + " | ".join(value.ljust(w) for value, w in zip(row, widths, strict=True)) + " |" for row in cells]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)

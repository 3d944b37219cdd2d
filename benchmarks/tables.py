"""Rows of a table against rows that no model saw: distributions, correlations, what determines what, trees that tell.

    python benchmarks/tables.py TABLE.csv [--families bayesnet,...] [--budget 60s] [--rows 5000] [--peers PYTHON]

`--rows` rows of the table are given to every family (its training split of them), and as many rows are made as there
were to train on; they meet as many fresh ones of the rest of the table. `--peers` names an interpreter that has
`ctgan`: TVAE and CTGAN then train on the same rows, in the same run, for as many epochs as the budget pays for.

ks           mean over numeric columns of the Kolmogorov-Smirnov distance, made against fresh
correlation  mean and largest difference of Spearman's correlations of two numeric columns, made against fresh
kept         share of made rows in which b is what a determines, least over the pairs of categorical columns (a, b) of
             which no two training rows with one a have another b; blank where there is no such pair
auc          area under the curve of boosted trees that tell made from fresh, over five folds; 0.5 is the best

The floor is what the training rows themselves have.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import tempfile
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _bench import RESULTS, Cell, Results, code, make, table
from scipy.stats import ks_2samp, spearmanr
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

import makar

Rows = list[dict[str, Any]]
PEERS = ("tvae", "ctgan")
FLOOR = "floor"
_PEER = """
import json, sys, time, torch, pandas
from ctgan import CTGAN, TVAE
torch.set_num_threads(1); torch.manual_seed(0)
kind, source, rows, seconds, out = sys.argv[1:]
kind = {"tvae": TVAE, "ctgan": CTGAN}[kind]
train = pandas.read_csv(source)
words = [c for c in train if not pandas.api.types.is_numeric_dtype(train[c])]
began = time.process_time(); kind(epochs=1).fit(train, words); one = time.process_time() - began
began = time.process_time(); kind(epochs=3).fit(train, words); three = time.process_time() - began
epochs = max(1, int((float(seconds) - one) / max((three - one) / 2, 1e-3)))
began = time.process_time(); model = kind(epochs=epochs); model.fit(train, words); used = time.process_time() - began
model.sample(int(rows)).to_json(out, orient="records")
print(json.dumps({"epochs": epochs, "train_cpu_seconds": round(used, 1)}))
"""


def read(path: str) -> Rows:
    """Rows of a CSV file, numbers as numbers where a whole column is."""
    with open(path, newline="", encoding="utf-8") as file:
        rows: Rows = list(csv.DictReader(file))
    for name in rows[0]:
        try:
            numbers = [float(row[name]) for row in rows]
        except ValueError:
            continue
        for row, number in zip(rows, numbers, strict=True):
            row[name] = number
    return rows


def write(path: Path, rows: Rows) -> None:
    """The rows as a CSV file."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def columns(rows: Rows, names: list[str], levels: dict[str, dict[str, int]]) -> np.ndarray:
    """Numbers (n, D): a code for a word, one that was not seen included."""
    return np.array([[levels[n].get(str(row[n]), -1) if n in levels else float(row[n]) for n in names] for row in rows])


def kept(train: Rows, made: Rows, words: list[str]) -> float | None:
    """The least share of rows that keep what one column determines of another."""
    shares = []
    for a in words:
        for b in words:
            seen = defaultdict(set)
            for row in train:
                seen[str(row[a])].add(str(row[b]))
            several = len({str(row[b]) for row in train}) > 1 and len(seen) < len(train) // 2
            if a != b and several and all(len(found) == 1 for found in seen.values()):
                shares.append(float(np.mean([str(row[b]) in seen.get(str(row[a]), ()) for row in made])))
    return min(shares, default=None)


def compare(train: Rows, fresh: Rows, made: Rows) -> Cell:
    """The figures of the header."""
    names = list(fresh[0])
    words = [n for n in names if isinstance(fresh[0][n], str)]
    levels = {n: {v: i for i, v in enumerate(sorted({str(r[n]) for r in train}))} for n in words}
    a, b = columns(fresh, names, levels), columns(made, names, levels)
    numeric = [i for i, n in enumerate(names) if n not in words]
    distances = [float(ks_2samp(a[:, i], b[:, i]).statistic) for i in numeric]
    differences = np.abs(spearmanr(a[:, numeric]).statistic - spearmanr(b[:, numeric]).statistic)
    pairs = differences[np.triu_indices(len(numeric), 1)]
    truth = np.repeat([0, 1], [len(a), len(b)])
    chances = cross_val_predict(
        HistGradientBoostingClassifier(random_state=0), np.concatenate([a, b]), truth,
        cv=StratifiedKFold(5, shuffle=True, random_state=0), method="predict_proba",
    )  # fmt: skip
    return {
        "ks": round(float(np.mean(distances)), 4),
        "correlation": round(float(pairs.mean()), 4),
        "largest": round(float(pairs.max()), 4),
        "kept": kept(train, made, words),
        "auc": round(float(roc_auc_score(truth, chances[:, 1])), 4),
        "rows": len(made),
    }


def measure(name: str, source: str, rows: int, budget: str, peers: str) -> Cell:
    """One family, peer or the floor."""
    everything = read(source)
    order = np.random.default_rng(0).permutation(len(everything))
    given = [everything[i] for i in order[:rows]]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "given.csv"
        write(place, given)
        data = makar.data(f"csv:{place}", licence="LicenseRef-own")
        train: Rows = list(data.train.things)
        fresh = [everything[i] for i in order[rows : rows + len(train)]]
        costs: Cell = {}
        if name == FLOOR:
            made = train
        elif name in PEERS:
            write(place, train)
            seconds = budget.removesuffix("s")
            out = Path(folder) / "made.json"
            call = [peers, "-c", _PEER, name, str(place), str(len(train)), seconds, str(out)]
            costs = json.loads(subprocess.run(call, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
            made = json.loads(out.read_text(encoding="utf-8"))
        else:
            model = makar.fit(name, data, budget=budget)
            record = model.trained.record
            costs = {"steps": record.steps, "train_cpu_seconds": round(record.cpu_seconds, 1)}
            made = [output.content for output in model.sample(len(train), seed=1)]
    return compare(train, fresh, made) | costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--families", default="bayesnet,mixture,kernel,flow")
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--peers", default="")
    parser.add_argument("--most", type=int)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    stem = Path(given.table).stem
    protocol = {"table": stem, "rows": given.rows, "budget": given.budget, "threads": 1}
    results = Results(given.out or RESULTS / f"tables-{stem}.json", protocol)
    names = [FLOOR, *given.families.split(","), *(PEERS if given.peers else ())]
    own = {name: code(name) for name in names if name != FLOOR and name not in PEERS}
    wanted: list[Cell] = [{"name": name} | ({"code": own[name]} if name in own else {}) for name in names]
    measured = partial(measure, source=given.table, rows=given.rows, budget=given.budget, peers=given.peers)
    make(results, wanted, measured, given.most)
    head = ("name", "ks", "correlation", "largest", "kept", "auc", "train_cpu_seconds")
    cells = sorted(results.cells, key=lambda cell: cell.get("auc", 1.0))
    print(table(["" if h == "name" else h for h in head], [[cell.get(h, "") for h in head] for cell in cells]))


if __name__ == "__main__":
    main()

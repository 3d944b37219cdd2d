"""The comparison from the command line: run it, print the table, write the page."""

from __future__ import annotations

import json
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import typer

from makar.apps import report, table
from makar.apps.interrupts import STOPPED
from makar.core.errors import MissingExtra
from makar.verbs.bundle import sha256
from makar.verbs.chain import Chain
from makar.verbs.compare import SUMMARY, Quiet, compare


def _executor(cluster: str | None) -> Executor | None:
    """An executor on a Dask cluster, or None for this machine's own processes."""
    if cluster is None:
        return None
    try:
        from distributed import Client
    except ImportError:
        raise MissingExtra("dask.distributed", "cluster") from None
    client: Any = Client(None if cluster == "local" else cluster)  # type: ignore[no-untyped-call]
    executor: Executor = client.get_executor()
    return executor


def race(
    data: str,
    families: str,
    budget: str,
    seeds: int,
    out: Path,
    workers: int,
    n: int | None,
    options: dict[str, Any],
    timeout: float | None,
    price: float | None,
    scoring: str | None,
    cluster: str | None,
    retry: bool,
    as_json: bool,
) -> None:
    """Compare, then show: the page and the table are made from what is in `out`, also after a race that was stopped.

    One that was stopped ends with exit code 130, so that a script does not take half of it for the whole.
    """
    summary = compare(
        data,
        families,
        budget,
        seeds,
        out,
        workers=workers,
        n=n,
        options=options,
        timeout=timeout,
        price=price,
        scoring=scoring,
        executor=_executor(cluster),
        retry=retry,
        watch=Quiet() if as_json else table.watch(),
    )
    page = report.write_report(out)
    record = {"families": families, "budget": budget, "seeds": seeds, "place": out.name}
    Chain.here().record("comparison", record | {"summary": sha256((out / SUMMARY).read_bytes())})
    if as_json:
        typer.echo(json.dumps(json.loads((out / SUMMARY).read_text(encoding="utf-8")), ensure_ascii=False, indent=1))
    else:
        table.show(summary)
        typer.echo(f"the page: {page}")
    if summary.interrupted:
        raise typer.Exit(STOPPED)

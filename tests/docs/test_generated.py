"""The generated pages are those that the code gives, and the glossary leaves no score out."""

from __future__ import annotations

import re

import pytest

from makar.apps import glossary
from makar.core import registry
from tests.docs.generate import PAGES
from tests.docs.pages import ROOT


@pytest.mark.parametrize("path", PAGES)
def test_page_is_up_to_date(path: str) -> None:
    written = (ROOT / path).read_text(encoding="utf-8")
    assert written == PAGES[path](), f"{path} is out of date; run: python -m tests.docs.generate"


def test_every_metric_is_explained() -> None:
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    for name, module in registry.modules("metrics").items():
        if module.startswith("makar."):
            assert f"`{name}`" in page, f"the metric {name} is not on the page"


def test_every_score_of_the_page_is_in_the_glossary() -> None:
    """The report explains each score that the manual names, and the other way round."""
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| \*\*(.+?)\*\* \|", page, re.MULTILINE)
    assert len(named) > 20
    for name in named:
        assert glossary.explain(name), f"the report has no words for {name}"


def test_navigation_names_every_page() -> None:
    listed = set(re.findall(r": ([\w./-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    there = {p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md")}
    assert listed == there

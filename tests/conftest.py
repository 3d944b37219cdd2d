"""Options of the suite, and the threads that its processes use."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import settings

# The same examples at every run: a suite that fails by chance teaches people to run it again.
settings.register_profile("fixed", derandomize=True)
settings.load_profile("fixed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--family", default=None, help="hold only this family to the laws (a name, or one by entry point)")


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a MAKAR_HOME of its own, without keys, so that no ledger grows in the working folder."""
    place = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("MAKAR_HOME", str(place))
    return place

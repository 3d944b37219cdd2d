"""Options of the suite, the threads that its processes use, and the watch over the network."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# The same examples at every run: a suite that fails by chance teaches people to run it again.
settings.register_profile("fixed", derandomize=True)
settings.load_profile("fixed")

SITE = Path(__file__).resolve().parent / "site"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--family", default=None, help="hold only this family to the laws (a name, or one by entry point)")


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(1)
    if "MAKAR_NETWORK_LOG" not in os.environ:  # the first process; workers and what tests start inherit it
        handle, name = tempfile.mkstemp(prefix="makar-network-")
        os.close(handle)
        os.environ["MAKAR_NETWORK_LOG"] = name
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SITE), os.environ.get("PYTHONPATH")]))
        config.stash[FIRST] = name
        __import__("tests.site.sitecustomize")


FIRST = pytest.StashKey[str]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the whole run where any process tried to reach another machine, even where it hid the refusal."""
    name = session.config.stash.get(FIRST, None)
    if name is None:
        return
    tried = Path(name).read_text(encoding="utf-8")
    Path(name).unlink()
    del os.environ["MAKAR_NETWORK_LOG"]
    if tried:
        raise pytest.UsageError(f"the suite reached for the network:\n{tried}")


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a MAKAR_HOME of its own, without keys, so that no ledger grows in the working folder."""
    place = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("MAKAR_HOME", str(place))
    return place

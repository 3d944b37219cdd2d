"""Options of the suite, and the threads that its processes use."""

from __future__ import annotations

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

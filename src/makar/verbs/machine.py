"""What machine this is, for records: processor, cores, threads, system and library versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch


def processor() -> str:
    """The processor's name, where the system tells."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def installed(library: str) -> str | None:
    """A library's version, or None where it is not installed."""
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def describe() -> dict[str, Any]:
    """The machine as plain data. Names of users, hosts and folders are left out on purpose."""
    return {
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "makar": installed("makar") or "unknown",
        "cuda": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
    }

"""What machine this is, for records: processor, cores, threads, system and library versions."""

from __future__ import annotations

import hashlib
import os
import platform
import resource
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

_LIBRARIES = ("torch", "numpy", "safetensors", "pydantic", "pillow", "scikit-learn", "tokenizers", "pyarrow")


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


def allowed() -> int:
    """Bytes that this process may hold: its own limit where one is set, and at most half of the machine's memory."""
    half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]
    return min([half, *(limit for limit in limits if limit != resource.RLIM_INFINITY)])


def environment() -> dict[str, str]:
    """Versions of the libraries that a result can depend on, as far as they are installed."""
    versions = {name: installed(name) for name in _LIBRARIES}
    return {name: found for name, found in versions.items() if found is not None}


@cache
def code() -> dict[str, str]:
    """Which makar this is: its version, and one sha256 over the names and contents of its source files."""
    root = Path(sys.modules["makar"].__path__[0])
    state = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        data = path.read_bytes()
        state.update(f"{path.relative_to(root).as_posix()} {len(data)}\n".encode() + data)
    return {"makar": installed("makar") or "unknown", "source": state.hexdigest()}

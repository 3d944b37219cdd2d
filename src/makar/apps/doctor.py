"""Doctor: what this machine has, which extras are installed, and what to run for those that are not."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from makar.verbs.machine import describe, installed
from makar.verbs.words import listed

_EXTRAS = {  # extra: {what is installed: the module that it brings}
    "text": {"tokenizers": "tokenizers"},
    "tables": {"pyarrow": "pyarrow"},
    "hub": {"datasets": "datasets"},
    "cluster": {"distributed": "distributed"},
    "provenance": {
        "c2pa-python": "c2pa",
        "cryptography": "cryptography",
        "protego": "protego",
        "model-signing": "model_signing",
        "pyopenssl": "OpenSSL",
    },
}
_CORE = ("torch", "numpy", "safetensors", "pydantic", "typer", "rich", "pillow", "scikit-learn", "matplotlib", "jinja2")
_HARMFUL = ("torchvision", "torchaudio")


def examine() -> dict[str, Any]:
    """The machine, library versions, extras and known trouble, as plain data."""
    extras = {
        extra: {name: installed(name) if find_spec(module) else None for name, module in needs.items()}
        for extra, needs in _EXTRAS.items()
    }
    core = {name: installed(name) for name in _CORE}
    trouble = [
        f"{name} is not installed, and makar does not work without it; pip install makar"
        for name, version in core.items()
        if version is None
    ]
    trouble += [
        f"{name} is installed and cannot be loaded beside a CPU torch; it breaks other packages: pip uninstall {name}"
        for name in _HARMFUL
        if installed(name) is not None and "+cpu" in (installed("torch") or "")
    ]
    return {
        "machine": describe(),
        "core": core,
        "extras": extras,
        "trouble": trouble,
    }


def report(found: dict[str, Any]) -> str:
    """The findings in words."""
    machine = found["machine"]
    lines = [
        f"makar {machine['makar']} on Python {machine['python']}, {machine['system']}",
        f"processor: {machine['processor']}, {machine['cores']} cores; graphics: {machine['cuda'] or 'none'}",
        "core: " + ", ".join(f"{name} {version or 'MISSING'}" for name, version in found["core"].items()),
    ]
    for extra, libraries in found["extras"].items():
        missing = [name for name, version in libraries.items() if version is None]
        has = ", ".join(f"{name} {version}" for name, version in libraries.items() if version)
        lines.append(
            f"extra {extra}: " + (f"missing {', '.join(missing)}; pip install 'makar[{extra}]'" if missing else has)
        )
    lacking = [name for name, libraries in found["extras"].items() if None in libraries.values()]
    well = f"nothing is wrong; without the optional {listed(lacking)}" if lacking else "nothing is wrong"
    lines += [f"trouble: {line}" for line in found["trouble"]] or [well]
    return "\n".join(lines)

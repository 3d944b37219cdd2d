"""makar: one workbench for every family of generative model.

A codec turns things into a tensor in a space; a model is written for a space and never for a modality. What is here
is loaded when it is first used, so that `import makar` is light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from makar.apps.workbench import Fitted as Fitted
    from makar.apps.workbench import data as data
    from makar.apps.workbench import fit as fit
    from makar.apps.workbench import load as load
    from makar.apps.workbench import training as training
    from makar.core.errors import MakarError as MakarError

__all__ = ["Fitted", "MakarError", "data", "fit", "load", "training"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "MakarError":
        return import_module("makar.core.errors").MakarError
    if name in __all__:
        return getattr(import_module("makar.apps.workbench"), name)
    raise AttributeError(f"module 'makar' has no attribute {name!r}")

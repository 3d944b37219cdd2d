"""Data: sources, licences, splits by content and manifests. What comes out is a dataset with a past."""

import sys
import types
from typing import Any

from makar.data.catalogue import available, load
from makar.data.dataset import Dataset, Manifest, Split

__all__ = ["Dataset", "Manifest", "Split", "available", "load"]


class _Callable(types.ModuleType):
    """This room under its own name, and the workbench's `makar.data("digits")`: Python gives both one name."""

    def __call__(self, spec: str, **options: Any) -> Dataset:
        return load(spec, **options)


sys.modules[__name__].__class__ = _Callable

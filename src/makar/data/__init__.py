"""Data: sources, licences, splits by content and manifests. What comes out is a dataset with a past."""

from makar.data.catalogue import load, sources
from makar.data.dataset import Dataset, Manifest, Split

__all__ = ["Dataset", "Manifest", "Split", "load", "sources"]

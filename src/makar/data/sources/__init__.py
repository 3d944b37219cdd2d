"""One file a source, found by its name."""

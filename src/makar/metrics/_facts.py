"""Names of facts about what was generated that a metric may look up in `Generated.facts`."""

READ = "share of held-out items read"
"""A number up to 1: a likelihood that had a limit in seconds rests on so much of the held-out data."""

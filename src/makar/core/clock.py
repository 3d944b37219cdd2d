"""The time of day, for records: the one place that reads it, so that a test can set it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """Now as ISO 8601 in UTC, to the second: "2026-11-22T09:30:00Z"."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""Ctrl-C, from the first moment on: quiet, with exit code 130.

A library written in C that is interrupted while it is loaded may abort the process with words of its own ("terminate
called after throwing …"), for Python raises KeyboardInterrupt wherever it happens to be. Nothing is lost by ending
during an import before the work has begun, so that is what is done: at once and without a word. At any other time
KeyboardInterrupt is raised as usual, and a training or a comparison keeps what it has.

The console script is `main` here and not in `cli`, so that this is in place before anything heavy is imported.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPED = 130
"""The exit code of what was stopped by Ctrl-C: 128 and the signal's number, as a shell has it."""

_IMPORTING = "<frozen importlib._bootstrap"  # how the file of Python's own importing frames begins


def _loading(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTING):
            return True
        frame = frame.f_back
    return False


def _on_interrupt(number: int, frame: FrameType | None) -> None:
    if _loading(frame):
        os._exit(STOPPED)  # no exception may pass through a library that is being loaded
    raise KeyboardInterrupt


@contextmanager
def quiet() -> Iterator[None]:
    """Within it, Ctrl-C during an import ends the process quietly; nothing changes outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def main() -> None:
    """The console script."""
    with quiet():
        from makar.apps import cli

        cli.main()

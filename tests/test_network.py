"""No test, and nothing that a test starts, reaches another machine: an audit hook refuses and remembers it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def test_this_process_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKAR_NETWORK_LOG", str(tmp_path / "log"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(RuntimeError, match="network"):
        sock.connect(("192.0.2.1", 9))  # an address for documentation (RFC 5737)
    assert "192.0.2.1" in (tmp_path / "log").read_text()


def test_what_a_test_starts_is_watched_too(tmp_path: Path) -> None:
    code = "import socket\ntry: socket.getaddrinfo('example.org', 80)\nexcept RuntimeError: raise SystemExit(7)"
    watched = os.environ | {"MAKAR_NETWORK_LOG": str(tmp_path / "log")}
    done = subprocess.run([sys.executable, "-c", code], env=watched, capture_output=True, check=False)
    assert done.returncode == 7, done.stderr
    assert "example.org" in (tmp_path / "log").read_text()


def test_this_machine_may_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass

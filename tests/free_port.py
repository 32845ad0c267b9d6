"""A port for a server that a test starts from a shell."""

from __future__ import annotations

import socket


def free_port() -> str:
    """A port that nobody listens on, as text."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])

"""A network between client and server that can be cut, or go silent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


class Gate:
    """Hands connections on to a server.

    Attributes:
        url: where clients come in.
    """

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._server = (place.hostname or "", place.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._is_shut = False
        self._lines: list[list[socket.socket]] = []
        self._silent: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def shut(self) -> None:
        """Cut all lines, and turn away whoever comes until it is opened."""
        self._is_shut = True
        self._cut()

    def open(self) -> None:
        """Hand on who comes from now on."""
        self._is_shut = False

    def _cut(self) -> None:
        for end in (end for line in self._lines for end in line):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def silence(self) -> None:
        """Let the lines that there are swallow all from now on, as a router that forgot them."""
        self._silent.update(end for line in self._lines for end in line)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._cut()
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *(end for line in self._lines for end in line)):
            end.close()

    def _run(self, function: Callable[..., None], *sockets: socket.socket) -> None:
        self._threads.append(threading.Thread(target=function, args=sockets, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                client, _ = self._listener.accept()
                if self._is_shut:
                    client.close()
                    continue
                line = [client, socket.create_connection(self._server)]
                self._lines.append(line)
                for source, goal in (line, line[::-1]):
                    self._run(self._pump, source, goal)

    def _pump(self, source: socket.socket, goal: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if source not in self._silent:
                    goal.sendall(data)
        with suppress(OSError):
            goal.shutdown(socket.SHUT_RDWR)


@contextmanager
def gate(url: str) -> Iterator[Gate]:
    """A gate before a server, until the end of the block."""
    opened = Gate(url)
    try:
        yield opened
    finally:
        opened.close()

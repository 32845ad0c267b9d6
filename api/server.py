"""uvicorn's server, which tells the event streams that it is about to stop."""

from __future__ import annotations

import socket

import uvicorn


class Server(uvicorn.Server):
    """A server of :func:`alphagrad.api.app.create_app`'s application.

    uvicorn waits for open connections before it tells the application of its end, and an event
    stream has none of its own.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the streams end, then stop as uvicorn does."""
        self.config.app.state.events.close()  # type: ignore[union-attr]
        await super().shutdown(sockets)

"""What the service logs, and what it does not."""

from __future__ import annotations

import subprocess
import sys

HOOK = """
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx

from alphagrad.tuner.log_format import configure_logging

class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass

configure_logging()
with HTTPServer(("127.0.0.1", 0), Hook) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/services/T00/the-secret"
    print(httpx.post(url).status_code)
    server.shutdown()
"""


def test_urls_that_are_called_are_not_logged() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOOK], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "204\n"
    assert "the-secret" not in done.stderr

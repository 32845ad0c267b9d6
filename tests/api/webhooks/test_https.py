"""Over HTTPS: the certificate names the host, though the connection is to a checked address."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.webhooks.playing import given_up, hook, play
from tests.api.webhooks.receiver import Receiver

Wait = Callable[..., Any]
Open = Callable[..., httpx.Client]

LOOKED_UP: list[str] = []


def note_look_ups(event: str, args: tuple[Any, ...]) -> None:
    """An audit hook; there is no way to take it off again."""
    if event == "socket.getaddrinfo":
        LOOKED_UP.append(str(args[0]))


sys.addaudithook(note_look_ups)


def test_a_certificate_must_name_the_host_whose_name_is_looked_up_once(
    quick: None, serve: Open, wait_for: Wait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = {name: certificate(tmp_path, name) for name in ("localhost", "other.test")}
    trusted = tmp_path / "trusted.pem"
    texts = [one.with_suffix(".pem").read_text() for one in certificates.values()]
    trusted.write_text("".join(texts))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    named: list[str | None] = []
    api = serve()
    with Receiver(tls=tls(certificates["localhost"], named)) as good:
        hook(api, f"https://localhost:{good.port}", events=["study.submitted"])
        LOOKED_UP.clear()
        play(api, "s")
        wait_for(lambda: good.deliveries)
        assert LOOKED_UP.count("localhost") == 1
        assert named == ["localhost"]
        assert good.deliveries[0].headers["host"] == f"localhost:{good.port}"
    with Receiver(tls=tls(certificates["other.test"], [])) as bad:
        made = hook(api, f"https://localhost:{bad.port}", events=["study.submitted"])
        play(api, "t")
        shown = wait_for(lambda: given_up(api, made["id"]))
        assert "CERTIFICATE_VERIFY_FAILED" in shown["error"]
        assert bad.deliveries == []


def certificate(folder: Path, name: str) -> Path:
    """A certificate that a host of this name signed itself; gives its files' stem."""
    stem = folder / name.replace(".", "-")
    made = f"-subj /CN={name} -addext subjectAltName=DNS:{name}".split()
    made += ["-keyout", str(stem.with_suffix(".key")), "-out", str(stem.with_suffix(".pem"))]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *made],
        check=True,
        capture_output=True,
    )
    return stem


def tls(stem: Path, named: list[str | None]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(stem.with_suffix(".pem"), stem.with_suffix(".key"))
    context.sni_callback = lambda socket, name, context: named.append(name)
    return context

"""The page's own files, and Plotly's JavaScript from the installed package.

All are read, hashed and compressed once. A path with the digest of all of them in it may be kept by
a browser for good: after an upgrade the pages name another one.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Header, Response
from starlette.exceptions import HTTPException

router = APIRouter(include_in_schema=False)

PREFIX = "/static-ui"
PLOTLY = "plotly.min.js"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOREVER = "private, max-age=31536000, immutable"
_ASK = "private, no-cache"


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file as it is sent.

    Attributes:
        content: its bytes.
        compressed: the same, gzip'd.
        etag: its entity tag.
        media_type: its content type.
    """

    content: bytes
    compressed: bytes
    etag: str
    media_type: str


@cache
def web_files() -> dict[str, WebFile]:
    """Our modules, styles and pictures by name."""
    folder = files("alphagrad.api") / "web"
    found = sorted(folder.iterdir(), key=lambda file: file.name)
    return {f.name: _file(f.name, f.read_bytes()) for f in found if _suffix(f.name) in MEDIA_TYPES}


@cache
def plotly_file() -> WebFile:
    """Plotly's JavaScript, 4.8 MB; 1.4 MB on the wire."""
    return _file(PLOTLY, (files("plotly") / "package_data" / PLOTLY).read_bytes())


@cache
def digest() -> str:
    """A short hash of all our files together."""
    tags = "".join(f"{name}{file.etag}" for name, file in web_files().items())
    return hashlib.sha256(tags.encode()).hexdigest()[:12]


def plotly_version() -> str:
    """The installed package's version, which its path names."""
    return version("plotly")


@router.get(f"{PREFIX}/{PLOTLY}")
def read_plotly(
    v: str = "",
    accept_encoding: Annotated[str, Header()] = "",
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    """Plotly's JavaScript."""
    lasting = v == plotly_version()
    return _answer(plotly_file(), accept_encoding, if_none_match, lasting=lasting)


@router.get(f"{PREFIX}/{{name}}")
def read_file(
    name: str,
    accept_encoding: Annotated[str, Header()] = "",
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    """A file under its plain name: a browser asks each time whether it has changed."""
    return _answer(_known(name), accept_encoding, if_none_match, lasting=False)


@router.get(f"{PREFIX}/{{edition}}/{{name}}")
def read_lasting_file(
    edition: str,
    name: str,
    accept_encoding: Annotated[str, Header()] = "",
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    """A file under the digest of all; a page from before an upgrade still finds what is there."""
    lasting = edition == digest()
    return _answer(_known(name), accept_encoding, if_none_match, lasting=lasting)


def _known(name: str) -> WebFile:
    # A look-up by name: no path from a request reaches the file system.
    if (file := web_files().get(name)) is None:
        raise HTTPException(404, f"the page has no file {name!r}")
    return file


def _answer(file: WebFile, encodings: str, known: str, *, lasting: bool) -> Response:
    headers = {
        "Cache-Control": _FOREVER if lasting else _ASK,
        "ETag": file.etag,
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if file.etag in known:
        return Response(status_code=304, headers=headers)
    if "gzip" not in encodings:
        return Response(file.content, headers=headers, media_type=file.media_type)
    headers["Content-Encoding"] = "gzip"
    return Response(file.compressed, headers=headers, media_type=file.media_type)


def _file(name: str, content: bytes) -> WebFile:
    return WebFile(
        content=content,
        compressed=gzip.compress(content, compresslevel=6, mtime=0),
        etag=f'"{hashlib.sha256(content).hexdigest()[:24]}"',
        media_type=MEDIA_TYPES[_suffix(name)],
    )


def _suffix(name: str) -> str:
    return f".{name.rpartition('.')[2]}"

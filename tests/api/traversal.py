"""Strings that lead out of a folder where a server lets them, made of their pieces."""

from __future__ import annotations

from itertools import product
from pathlib import Path

UPS = (
    "..",
    "%2e%2e",
    ".%2e",
    "%2E.",
    "%252e%252e",
    "%c0%ae%c0%ae",  # overlong UTF-8
    "%e0%80%ae%e0%80%ae",
    "%u002e%u002e",
    "\u2025",  # unicode's dots
    "\uff0e\uff0e",
    "%ef%bc%8e%ef%bc%8e",
    "..;x=1",
    "....",
    "..%00",
    "..%20",
    "..%0a",
)
SEPARATORS = ("/", "%2f", "%252f", "\\", "%5c", "%255c", "%c0%af", "//", "/./", "%2f%2f", "\uff0f")
WHOLE = (
    "/etc/passwd",
    "//etc/passwd",
    "%2fetc%2fpasswd",
    "file:///etc/passwd",
    "file:%2f%2f%2fetc%2fpasswd",
    "C:\\Windows\\win.ini",
    "C:/Windows/win.ini",
    "\\\\localhost\\c$\\x",
    "CON",
    "NUL",
    "aux.txt",
    "COM1",
    "LPT1:",
    "%00",
    "canary.txt%00.js",
    "canary.txt%00",
    "~root/canary.txt",
    "~",
    ".",
    "..",
    "...",
    "/",
    "%2e",
    "%2e%2e",
    "%2e%2e%2f",
    "$HOME/canary.txt",
    "${HOME}",
    "{0}",
    "%s%s%n",
    "/proc/self/environ",
    "/proc/self/cmdline",
    "%2fproc%2fself%2fenviron",
    "..%2f..%2fproc%2fself%2fenviron",
    "%ff%fe",
    "\ud7ff",
    "%ed%a0%80",
    "a" * 5000,
    "../" * 40 + "etc/passwd",
)


def corpus(file: Path) -> list[str]:
    """Strings that would name a file: from some folders above, or from the root of all."""
    whole = str(file).lstrip("/")
    places = [(1, file.name), (3, file.name), (15, whole)]
    found = [
        separator.join([up] * depth + target.split("/"))
        for up, separator, (depth, target) in product(UPS, SEPARATORS, places)
    ]
    return [*dict.fromkeys([*found, *WHOLE, f"/{whole}", file.name])]

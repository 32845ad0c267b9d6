"""What the kernel tells of processes."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from pathlib import Path


def descendants(pid: int) -> set[int]:
    """All processes that a process started, and those that they started."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            parents[int(entry.name)] = parent(int(entry.name))
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def parent(pid: int) -> int:
    """The process that started a process, or that took it over."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def command_line(pid: int) -> bytes:
    """A process's command line; empty if it has ended."""
    return _read(pid, "cmdline")


def environment(pid: int) -> bytes:
    """The variables that a process was started with; empty if it has ended."""
    return _read(pid, "environ")


def listening(pid: int) -> set[str]:
    """The addresses at which a process listens for TCP connections."""
    sockets = set()
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                sockets.add(link.readlink().name)
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(_address(fields[1].partition(":")[0]))
    return found


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _address(digits: str) -> str:
    """Hexadecimal, as the kernel writes it: words of four bytes, each turned round."""
    words = [bytes.fromhex(digits[place : place + 8])[::-1] for place in range(0, len(digits), 8)]
    address = ipaddress.ip_address(b"".join(words))
    return str(getattr(address, "ipv4_mapped", None) or address)

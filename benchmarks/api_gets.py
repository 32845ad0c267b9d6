"""The second process of api.py: it asks at a steady rate, or has api_streams.py do its part.

Run by api.py with a job as JSON; prints what it measured as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from statistics import quantiles
from typing import Any

import aiohttp
import httpx

LATE_SECONDS = 30.0
"""A request, or the last event of a stream, is waited for so long."""
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None)


def main() -> None:
    """Do one job."""
    from api_streams import streams

    job = json.loads(sys.argv[1])
    work = {"gets": gets, "streams": streams}[job["what"]]
    sys.stdout.write(json.dumps(asyncio.run(work(job))) + "\n")


def connect(job: dict[str, Any]) -> httpx.AsyncClient:
    """A client that opens as many connections as it has requests on their way."""
    headers = {"Authorization": f"Bearer {job['key']}"}
    return httpx.AsyncClient(
        base_url=job["url"], headers=headers, limits=LIMITS, timeout=LATE_SECONDS
    )


def spread(seconds: list[float]) -> dict[str, float]:
    """Percentiles in ms; infinity where something never came."""
    ordered = sorted(seconds)
    cuts = quantiles(ordered, n=1000, method="inclusive") if len(ordered) > 1 else ordered * 999
    at = {"p50": cuts[499], "p95": cuts[949], "p99": cuts[989], "max": ordered[-1]}
    return {name: value * 1e3 for name, value in at.items()}


def cpu_seconds(pid: int) -> float:
    """What a process has computed so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def gets(job: dict[str, Any]) -> dict[str, Any]:
    """GET one path so many times a second, answered or not."""
    took: list[float] = []
    sent_late: list[float] = []
    failed: list[str] = []
    bodies: list[bytes] = []
    # Not httpx: with many connections it computes so long for each request that a halt of the
    # server, which leaves some, is followed by one of its own.
    async with aiohttp.ClientSession(
        job["url"],
        connector=aiohttp.TCPConnector(limit=0),
        headers={"Authorization": f"Bearer {job['key']}"},
        timeout=aiohttp.ClientTimeout(LATE_SECONDS),
    ) as client:

        async def one(due: float) -> None:
            sent_late.append(time.perf_counter() - due)
            try:
                async with client.get(job["path"]) as answer:
                    body = await answer.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                failed.append(repr(error))
                return
            took.append(time.perf_counter() - due)
            if answer.status != 200:
                failed.append(f"{answer.status}: {body[:200]!r}")
            elif len(took) % job["rate"] == 1:  # parsed when all is over
                bodies.append(body)

        for _ in range(20):  # a first connection, what is made when it is first asked for
            async with client.get(job["path"], raise_for_status=True) as answer:
                await answer.read()
        count = job["rate"] * job["seconds"]
        computed = cpu_seconds(job["pid"])
        begin = time.perf_counter() + 0.1
        tasks = []
        for number in range(count):
            due = begin + number / job["rate"]
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            tasks.append(asyncio.create_task(one(due)))
        await asyncio.gather(*tasks)
        wall = time.perf_counter() - begin
        computed = cpu_seconds(job["pid"]) - computed
    return {
        "rate": job["rate"],
        "requests": count,
        "failed": failed[:5] and [len(failed), *failed[:5]],
        "per_second": len(took) / wall,
        "latency_ms": spread(took),
        "sent_late_ms": spread(sent_late),
        "server_cpu_ms": computed / count * 1e3,
        "bytes": [len(body) for body in (bodies[0], bodies[-1])],
        "running": [running(body) for body in bodies],
    }


def running(body: bytes) -> int | None:
    """How many trials an answer says to be running."""
    answer = json.loads(body)
    trials = answer.get("trials")
    if isinstance(trials, dict):
        return int(trials.get("RUNNING", 0))
    return None if trials is None else sum(trial["state"] == "Running" for trial in trials)


if __name__ == "__main__":
    main()

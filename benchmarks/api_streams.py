"""Open streams of events while studies are submitted, for api.py: what each was sent, and saw."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import Any

import httpx
from api_gets import LATE_SECONDS, connect, cpu_seconds, spread

from alphagrad.tuner.database import Database
from alphagrad.tuner.events import read, read_page


class Stream:
    """What one reader of /v1/events was sent."""

    def __init__(self) -> None:
        self.position = -1
        self.events: list[tuple[int, str]] = []
        self.delays: list[float] = []
        self.opened = asyncio.Event()

    async def read(self, client: httpx.AsyncClient, last: asyncio.Future[int]) -> None:
        """Read until the event that the submitter says is the last."""
        async with client.stream("GET", "/v1/events") as answer:
            answer.raise_for_status()
            id_ = -1
            async for line in answer.aiter_lines():
                if line.startswith("id: "):
                    id_ = int(line[4:])
                    if self.position < 0:
                        self.position = id_
                        self.opened.set()
                elif line.startswith("data: "):
                    # Read when all is over, as parsing would hold up the other streams.
                    self.events.append((id_, line))
                    self.delays.append(time.time())
                elif not line and last.done() and id_ >= last.result():
                    return


async def streams(job: dict[str, Any]) -> dict[str, Any]:
    """Open streams, submit studies with keys, and compare what each stream saw with the table."""
    readers = [Stream() for _ in range(job["streams"])]
    last: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with connect(job) as client:
        # A stream may be silent for a while, but not longer than its comments are apart.
        reading = [asyncio.create_task(reader.read(client, last)) for reader in readers]
        opened = asyncio.gather(*(reader.opened.wait() for reader in readers))
        async with asyncio.timeout(LATE_SECONDS):
            await opened
        computed, begin = cpu_seconds(job["pid"]), time.perf_counter()
        submitted = await submits(client, job)
        last.set_result(await newest(client, job))
        _, silent = await asyncio.wait(reading, timeout=LATE_SECONDS)
        wall = time.perf_counter() - begin
        computed = cpu_seconds(job["pid"]) - computed
        for task in silent:
            task.cancel()
        ended = await asyncio.gather(*reading, return_exceptions=True)
    broken = [repr(error) for error in ended if isinstance(error, BaseException)]
    return judge(readers, broken, last.result(), job) | {
        "submits": submitted,
        "seconds": wall,
        "server_cpu_share": computed / wall,
    }


async def newest(client: httpx.AsyncClient, job: dict[str, Any]) -> int:
    """Submit one more study, the last, and find its event's id."""
    answer = await client.post("/v1/studies", json=job["spec"] | {"name": "load-last"})
    answer.raise_for_status()
    database = Database(job["database"])
    found = await asyncio.to_thread(read, database, after=-1, study="load-last")
    database.dispose()
    return found[0].id


async def submits(client: httpx.AsyncClient, job: dict[str, Any]) -> dict[str, Any]:
    """Studies spread over the time, each submitted by all its requests at once with one key."""
    took: list[float] = []
    wrong: list[str] = []

    async def one(body: dict[str, Any]) -> httpx.Response:
        begin = time.perf_counter()
        headers = {"Idempotency-Key": f"submit-{body['name']}"}
        answer = await client.post("/v1/studies", json=body, headers=headers)
        took.append(time.perf_counter() - begin)
        return answer

    async def all_of(number: int) -> None:
        body = job["spec"] | {"name": f"load-{number}"}
        answers = await asyncio.gather(*(one(body) for _ in range(job["replays"])))
        replayed = sum("Idempotency-Replayed" in answer.headers for answer in answers)
        if {answer.status_code for answer in answers} != {202}:
            wrong.append(f"load-{number}: {[answer.status_code for answer in answers]}")
        elif len({answer.content for answer in answers}) != 1 or replayed != len(answers) - 1:
            wrong.append(f"load-{number}: {replayed} of {len(answers)} answers were replayed")

    begin = time.perf_counter()
    tasks = []
    for number in range(job["keys"]):
        due = begin + job["seconds"] * number / job["keys"]
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(all_of(number)))
    await asyncio.gather(*tasks)
    await asyncio.sleep(max(0.0, begin + job["seconds"] - time.perf_counter()))
    return {
        "keys": job["keys"],
        "requests": len(took),
        "wrong": wrong,
        "latency_ms": spread(took),
    }


def judge(
    readers: list[Stream], broken: list[str], last: int, job: dict[str, Any]
) -> dict[str, Any]:
    """Hold each stream against the rows of the table of events."""
    database = Database(job["database"])
    position, rows = min(reader.position for reader in readers), []
    first = position
    while position < last:
        page = read_page(database, after=position)
        rows += page.events
        position = page.last
    database.dispose()
    rows = [row for row in rows if row.id <= last]
    kinds: dict[str, int] = {}
    for row in rows:
        kinds[row.kind] = kinds.get(row.kind, 0) + 1
    studies = [row.study for row in rows if row.kind == "study.submitted"]
    texts: dict[int, str] = {}
    found = {"missing": 0, "repeated": 0, "out_of_order": 0, "foreign": 0, "different": 0}
    delays = []
    for reader in readers:
        seen = [id_ for id_, _ in reader.events if id_ <= last]
        due = {row.id for row in rows if row.id > reader.position}
        found["missing"] += len(due - set(seen))
        found["foreign"] += len(set(seen) - due)
        found["repeated"] += len(seen) - len(set(seen))
        found["out_of_order"] += sum(b < a for a, b in pairwise(seen))
        found["different"] += sum(
            texts.setdefault(id_, line) != line for id_, line in reader.events
        )
    at = {row.id: row.at for row in rows}
    for reader in readers:
        delays += [
            came - at[id_]
            for (id_, _), came in zip(reader.events, reader.delays, strict=True)
            if id_ in at
        ]
    return {
        "streams": len(readers),
        "broken": broken[:5] and [len(broken), *broken[:5]],
        "events": len(rows),
        "kinds": kinds,
        "sent": sum(len(reader.events) for reader in readers),
        **found,
        "first": first,
        "delay_ms": spread(delays),
        # One more than keys: the last.
        "studies_created": len(studies),
        "studies_twice": len(studies) - len(set(studies)),
    }

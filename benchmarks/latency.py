"""From a webhook POST to the delivered alert, beside an import: `python -m benchmarks.latency [--rows N] [--posts N]`.

`listener serve` runs as a process with a webhook source, the shipped classifier and a webhook destination on loopback.
`listener import` stores the rows beside it, and the service analyses them; meanwhile mentions that match a
subscription are posted one by one. Prints p50 and p95 of three times: idle, while the rows are stored by the
other process, and while the service analyses them.
"""

import argparse
import asyncio
import json
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path

import aiohttp
from aiohttp import web

from benchmarks.service import Running, asked, listener, load, serving
from connectors import sample
from connectors.signature import sign
from listener.model import iso, mention_id

_SECRET = "the secret of the benchmark"
_TARGET = 3.0
_SETTINGS = """
[index]
path = "listener.db"
[classifier]
name = "{classifier}"
[serve]
port = {port}
[sources.pushed]
connector = "webhook"
secrets = ["file:secret"]
[destinations.receiver]
type = "webhook"
url = "http://127.0.0.1:{receiver}/"
secret = "file:secret"
"""


class Receiver:
    """Where alerts are delivered: when each mention arrived, by its id."""

    def __init__(self) -> None:
        self.arrived: dict[str, asyncio.Future[float]] = {}

    def expect(self, mention: str) -> "asyncio.Future[float]":
        """Done with the time at which an alert with this mention is delivered."""
        return self.arrived.setdefault(mention, asyncio.get_running_loop().create_future())

    async def take(self, request: web.Request) -> web.Response:
        """Note the mentions of an alert."""
        at = time.perf_counter()
        for mention in (await request.json())["mentions"]:
            future = self.expect(mention["id"])
            if not future.done():
                future.set_result(at)
        return web.Response()

    @asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[None]:
        """Listen on loopback."""
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/", self.take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield
        finally:
            await runner.cleanup()


class Poster:
    """Posts mentions that match, and waits for their alerts."""

    def __init__(self, session: aiohttp.ClientSession, running: Running, receiver: Receiver, texts: list[str]) -> None:
        self._session, self._running, self._receiver = session, running, receiver
        self._texts = cycle(texts)
        self._number = 0

    async def post(self) -> float:
        """Seconds from the POST to the alert; a TimeoutError after two minutes."""
        self._number += 1
        native = f"posted{self._number}"
        row = {"native_id": native, "text": next(self._texts), "channel": "x", "brand": "Latency",
               "published_at": iso(datetime.now(UTC)), "author": {"handle": native, "followers": 50_000}}  # fmt: skip
        body = json.dumps(row).encode()
        arrived = self._receiver.expect(mention_id("pushed", native))
        start = time.perf_counter()
        headers = sign(_SECRET, body, datetime.now(UTC))
        async with self._session.post(f"{self._running.address}/ingest/pushed", data=body, headers=headers) as answer:
            answer.raise_for_status()
        return await asyncio.wait_for(arrived, 120) - start

    async def posts(self, count: int, pause: float, go_on: Callable[[], bool] = lambda: True) -> list[float]:
        """Up to so many posts with a pause between them, as long as `go_on` says so."""
        times: list[float] = []
        while len(times) < count and go_on():
            times.append(await self.post())
            await asyncio.sleep(pause)
        return times


def write_rows(path: Path, count: int) -> None:
    """Rows with the texts of the sample, as old as a first import."""
    texts = [row["text"] for row in sample.rows()]
    old = datetime.now(UTC) - timedelta(days=30)
    with path.open("w", encoding="utf8") as stream:
        for number, text in enumerate(islice(cycle(texts), count)):
            row = {"native_id": str(number), "text": text, "kind": "review", "published_at": iso(old)}
            stream.write(json.dumps(row) + "\n")


def say(name: str, times: list[float]) -> None:
    """One line of the table."""
    if len(times) < 2:
        print(f"{name:<52} too few posts")
        return
    p95 = statistics.quantiles(times, n=20, method="inclusive")[-1]
    print(
        f"{name:<52} p50 {statistics.median(times):>6.2f} s   p95 {p95:>6.2f} s   max {max(times):>6.2f} s   "
        f"n {len(times)}   ({load()})",
        flush=True,
    )


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def run(folder: Path, rows: int, posts: int, pause: float, classifier: str) -> None:
    """Set everything up and print the times."""
    settings, port, receiving = folder / "listener.toml", free_port(), free_port()
    await listener("init", str(folder))
    (folder / "secret").write_text(_SECRET, "utf8")
    settings.write_text(_SETTINGS.format(port=port, receiver=receiving, classifier=classifier), "utf8")
    subscription = ("subscriptions", "add", "latency", "brand:latency followers:>=10000", "--to", "receiver")
    await listener("--config", str(settings), *subscription)
    write_rows(folder / "rows.jsonl", rows)
    texts = [row["text"] for row in sample.rows() if row["brand"] == sample.OUR_BRAND]
    receiver = Receiver()
    async with (
        aiohttp.ClientSession() as session,
        receiver.listening(receiving),
        serving(settings, session, port) as running,
    ):
        poster = Poster(session, running, receiver, texts)
        await poster.posts(3, 0)
        say("idle", await poster.posts(posts, 0.1))
        start = time.perf_counter()
        importing = asyncio.create_task(
            listener("--config", str(settings), "import", "--no-wait", str(folder / "rows.jsonl"))
        )
        beside = await poster.posts(10_000, pause, lambda: not importing.done())
        print((await importing).strip())
        say("while another process stores the rows", beside)
        busy = await poster.posts(posts, pause)
        seconds = time.perf_counter() - start
        left = (await asked(settings, "search", "is:unanalysed", "--size", "1"))["total"]
        say("while the service analyses them", busy)
        print(f"   {rows - left:,} rows analysed in {seconds:,.0f} s, {(rows - left) / seconds:,.0f}/s; {left:,} left")
        if not left:
            print("   nothing was left to analyse at the end: use more --rows")
        met = statistics.quantiles(busy, n=20, method="inclusive")[-1] < _TARGET
        print(f"   target: p95 under {_TARGET:g} s: {'met' if met else 'missed'}")
        print(f"   resident memory of the service: {running.resident():,.0f} MB, at most {running.peak():,.0f} MB")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--posts", type=int, default=120)
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between an alert and the next post")
    parser.add_argument("--classifier", default="listener-e5")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder), given.rows, given.posts, given.pause, given.classifier))


if __name__ == "__main__":
    main()

"""Kill -9 at random moments: nothing acknowledged is lost, nothing is stored or alerted twice."""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from connectors.signature import sign
from index.contract import Subscription
from index.embedded.engine import EmbeddedEngine

pytestmark = pytest.mark.faults

KILLS = 50
ROWS = 400  # per file; one more file for every kill, so that there is always work in hand
SECRET = "the secret of the kills"
CONFIG = """
[classifier]
name = "rule"

[index]
path = "listener.db"

[serve]
port = {port}

[sources.folder]
connector = "file"
path = "inbox"
every = "200ms"
page_size = 50
settle = "0s"

[sources.pushed]
connector = "webhook"
secrets = ["env:KILL_SECRET"]

[destinations.receiver]
type = "webhook"
url = "http://127.0.0.1:{receiver}/alerts"
secret = "env:KILL_SECRET"
"""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_file(folder: Path, number: int) -> set[str]:
    """One more file in the watched folder: every fifth row is negative; gives the native ids."""
    now = datetime.now(UTC).isoformat()
    rows, ids = [], set()
    for i in range(ROWS):
        native = f"f{number}-{i}"
        text = f"awful, broken, number {native}" if i % 5 == 0 else f"delivery of {native} arrived"
        rows.append(
            {"native_id": native, "text": text, "published_at": now, "kind": "review", "rating": 1 if i % 5 == 0 else 4}
        )
        ids.add(native)
    draft = folder / f"part{number}.tmp"
    draft.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf8")
    draft.rename(folder / f"part{number}.jsonl")
    return ids


class Receiver:
    """The place where alerts are delivered: remembers every alert's mentions by the alert's id."""

    def __init__(self) -> None:
        self.alerts: dict[str, set[str]] = {}
        self.calls = 0

    async def take(self, request: web.Request) -> web.Response:
        """Answer some with 500, as real places do."""
        self.calls += 1
        if self.calls % 17 == 0:
            return web.Response(status=500)
        body = await request.json()
        self.alerts[body["id"]] = {item["id"] for item in body["mentions"]}
        return web.Response()


async def push(session: aiohttp.ClientSession, port: int, number: int) -> str | None:
    """One signed push; its native id once the service said that it is stored."""
    native = f"w{number}"
    body = json.dumps({"native_id": native, "text": "terrible service", "kind": "review", "rating": 1,
                       "published_at": datetime.now(UTC).isoformat()}).encode()  # fmt: skip
    headers = {**sign(SECRET, body, datetime.now(UTC)), "X-Listener-Event": native}
    try:
        async with session.post(f"http://127.0.0.1:{port}/ingest/pushed", data=body, headers=headers) as answer:
            return native if answer.status in (200, 202) else None
    except aiohttp.ClientError:
        return None


async def until_ready(session: aiohttp.ClientSession, port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait for /readyz; fail with the log when the process ends instead."""
    for _ in range(600):
        if process.poll() is not None:
            raise AssertionError(f"the service ended by itself with {process.returncode}")
        try:
            async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.05)
    raise AssertionError("the service was not ready within 30 s")


async def test_fifty_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    draw = random.Random(int(os.environ.get("LISTENER_TEST_SEED", "7")))
    port, receiver_port = free_port(), free_port()
    (tmp_path / "inbox").mkdir()
    (tmp_path / "listener.toml").write_text(CONFIG.format(port=port, receiver=receiver_port), "utf8")
    environment = {**os.environ, "KILL_SECRET": SECRET}
    engine = EmbeddedEngine(tmp_path / "listener.db")
    await engine.open()
    await engine.put_subscription(
        Subscription("negative", "rating:[1 TO 2]", datetime.now(UTC), destinations=("receiver",))
    )
    await engine.close()

    receiver = Receiver()
    application = web.Application()
    application.router.add_post("/alerts", receiver.take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", receiver_port).start()

    expected: set[str] = set()
    log = open(tmp_path / "log", "ab")  # noqa: SIM115 - the service writes to it until the end

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "listener.cli", "--config", str(tmp_path / "listener.toml"), "serve"]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    pushes = 0
    async with aiohttp.ClientSession() as session:
        for number in range(KILLS):
            expected |= write_file(tmp_path / "inbox", number)
            process = start()
            if draw.random() < 0.8:
                await until_ready(session, port, process)
                end = time.monotonic() + draw.random() * 0.6
                while time.monotonic() < end:
                    pushes += 1
                    if native := await push(session, port, pushes):
                        expected.add(native)
                    await asyncio.sleep(0.01)
            else:
                await asyncio.sleep(draw.random() * 1.2)
            process.send_signal(signal.SIGKILL)
            process.wait()
        process = start()
        await until_ready(session, port, process)
        stored = await settled(tmp_path / "listener.db", expected, receiver)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    await runner.cleanup()
    log.close()

    natives = [native for native, _ in stored]
    assert set(natives) >= expected, f"lost: {sorted(expected - set(natives))[:10]}"
    assert len(natives) == len(set(natives)), "a mention is stored twice"
    negative = {mention for native, mention in stored if native.startswith("w") or int(native.split("-")[1]) % 5 == 0}
    listed = [mention for mentions in receiver.alerts.values() for mention in mentions]
    assert set(listed) == negative
    assert len(listed) == len(negative), "a mention stands in two alerts"


async def settled(path: Path, expected: set[str], receiver: Receiver) -> list[tuple[str, str]]:
    """(native id, id) of all mentions once everything expected is stored and every alert was delivered."""
    engine = EmbeddedEngine(path)
    await engine.open()
    try:
        for _ in range(240):
            now = datetime.now(UTC)
            stored = [(r.mention.native_id, r.mention.id) async for r in engine.export("*", now)]
            alerts = await engine.alerts(limit=1_000_000)
            if {native for native, _ in stored} >= expected and {alert.id for alert in alerts} <= set(receiver.alerts):
                return stored
            await asyncio.sleep(0.5)
        return stored
    finally:
        await engine.close()

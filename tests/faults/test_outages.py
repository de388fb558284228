"""Outages around the service: a store that others hold, a full disk, a second service, a stop in the middle of work."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import apsw
import pytest

from connectors.signature import sign
from index.embedded.engine import EmbeddedEngine
from listener.app import Service, opened
from listener.settings import Settings, loads
from listener.web import application

pytestmark = pytest.mark.faults

SECRET = "the secret of the outages"
HELD = 40.0  # seconds for which another process holds the store: longer than SQLite is told to wait
CONFIG = """
[classifier]
name = "rule"

[index]
path = "{store}"

[serve]
port = 0
inbox_limit = {inbox_limit}

[limits]
grace = "3s"

[sources.folder]
connector = "file"
path = "inbox"
every = "200ms"
page_size = 50
settle = "0s"

[sources.pushed]
connector = "webhook"
secrets = ["env:OUTAGE_SECRET"]
"""


def configure(folder: Path, *, store: str = "listener.db", inbox: int = 1000) -> Path:
    """Write the settings of a watched folder and a webhook; gives their path."""
    (folder / "inbox").mkdir(exist_ok=True)
    path = folder / "listener.toml"
    path.write_text(CONFIG.format(store=store, inbox_limit=inbox), "utf8")
    return path


def write_rows(folder: Path, name: str, count: int, text: str = "the delivery was late") -> set[str]:
    """One more file in the watched folder; gives its native ids."""
    ids = {f"{name}-{number}" for number in range(count)}
    now = datetime.now(UTC).isoformat()
    rows = [json.dumps({"native_id": native, "text": f"{text} {native}", "published_at": now}) for native in ids]
    draft = folder / "inbox" / f"{name}.tmp"
    draft.write_text("".join(f"{row}\n" for row in rows), "utf8")
    draft.rename(folder / "inbox" / f"{name}.jsonl")
    return ids


@contextmanager
def running(config: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`listener serve` as a process; gives it and its address once it is ready."""
    environment = {**os.environ, "OUTAGE_SECRET": SECRET, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "listener.cli", "--config", str(config), "serve"]
    with open(config.with_name("log"), "a") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "serving on" in line, config.with_name("log").read_text()
            yield process, line.split()[2].rstrip(",")
        finally:
            process.kill()
            process.wait()


async def push(session: aiohttp.ClientSession, address: str, native: str) -> int:
    """One signed push; gives the status."""
    body = json.dumps({"native_id": native, "text": "pushed", "published_at": datetime.now(UTC).isoformat()}).encode()
    headers = {**sign(SECRET, body, datetime.now(UTC)), "X-Listener-Event": native}
    async with session.post(f"{address}/ingest/pushed", data=body, headers=headers) as answer:
        if answer.status == 503:
            assert int(answer.headers["Retry-After"]) >= 1
        return answer.status


async def until_stored(path: Path, wanted: set[str], seconds: float = 90) -> None:
    """Wait until the store holds exactly these native ids, each once."""
    engine = EmbeddedEngine(path)
    await engine.open()
    natives: list[str] = []
    try:
        async with asyncio.timeout(seconds):
            while not wanted <= set(natives):
                await asyncio.sleep(0.5)
                natives = [record.mention.native_id async for record in engine.export("*", datetime.now(UTC))]
    except TimeoutError:
        raise AssertionError(f"lost: {sorted(wanted - set(natives))[:10]}") from None
    finally:
        await engine.close()
    assert sorted(natives) == sorted(wanted)


async def test_a_store_held_by_another_process_for_forty_seconds_loses_nothing_and_ends_nothing(
    tmp_path: Path,
) -> None:
    config = configure(tmp_path)
    expected = write_rows(tmp_path, "before", 200)
    with running(config) as (process, address):
        await until_stored(tmp_path / "listener.db", expected)
        holder = apsw.Connection(str(tmp_path / "listener.db"))
        holder.set_busy_timeout(10_000)
        holder.execute("BEGIN IMMEDIATE")
        expected |= write_rows(tmp_path, "meanwhile", 200)
        waiting = aiohttp.ClientTimeout(total=HELD + 40)
        async with aiohttp.ClientSession(timeout=waiting) as session:
            pushes = [asyncio.create_task(push(session, address, f"p{number}")) for number in range(5)]
            async with session.get(f"{address}/readyz") as answer:  # reads are not held up
                assert answer.status == 200
            await asyncio.sleep(HELD)
            assert process.poll() is None
            holder.execute("ROLLBACK")
            holder.close()
            statuses = await asyncio.gather(*pushes)
        assert set(statuses) <= {202, 503}
        expected |= {f"p{number}" for number, status in enumerate(statuses) if status == 202}
        await until_stored(tmp_path / "listener.db", expected)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 60) == 0


async def test_a_stop_over_a_held_store_ends_in_time_and_the_next_start_has_everything(tmp_path: Path) -> None:
    config = configure(tmp_path)
    expected = write_rows(tmp_path, "one", 100)
    with running(config) as (process, _):
        await until_stored(tmp_path / "listener.db", expected)
        holder = apsw.Connection(str(tmp_path / "listener.db"))
        holder.set_busy_timeout(10_000)
        holder.execute("BEGIN IMMEDIATE")
        expected |= write_rows(tmp_path, "two", 2000)
        await asyncio.sleep(2)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 45) == 0  # grace, and what SQLite waits for the lock
        holder.execute("ROLLBACK")
        holder.close()
    with running(config):
        await until_stored(tmp_path / "listener.db", expected)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Callable[[int], None]]:
    """A file system of that size; gives a function that makes it larger."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)], capture_output=True
    )
    if made.returncode:
        pytest.skip("no right to mount a small file system here")
    try:
        yield lambda size: subprocess.run(["mount", "-o", f"remount,size={size}m", str(folder)], check=True) and None
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_full_disk_stops_nothing_for_good_and_loses_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, 4) as grow:
        config = configure(tmp_path, store="disk/listener.db")
        expected = write_rows(tmp_path, "much", 4000, "a parcel that came late, was broken and smelled " * 5)
        with running(config) as (process, address):
            await asyncio.sleep(8)
            stored = apsw.Connection(str(disk / "listener.db"))
            assert stored.execute("SELECT count(*) FROM mention").fetchall()[0][0] < len(expected), (
                "the disk is not full"
            )
            stored.close()
            async with aiohttp.ClientSession() as session:
                statuses = [await push(session, address, f"p{number}") for number in range(3)]
            assert process.poll() is None
            grow(200)
            expected |= {f"p{number}" for number, status in enumerate(statuses) if status == 202}
            await until_stored(disk / "listener.db", expected, 150)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 60) == 0


async def test_a_second_service_on_one_store_is_refused_and_disturbs_nothing(tmp_path: Path) -> None:
    config = configure(tmp_path)
    with running(config) as (process, _):
        command = [sys.executable, "-m", "listener.cli", "--config", str(config), "run"]
        environment = {**os.environ, "OUTAGE_SECRET": SECRET}
        second = await asyncio.to_thread(
            subprocess.run, command, env=environment, capture_output=True, text=True, timeout=30
        )
        assert second.returncode == 1
        assert str(process.pid) in second.stderr
        assert "Traceback" not in second.stderr
        await until_stored(tmp_path / "listener.db", write_rows(tmp_path, "one", 20))


def reindexed_to(path: Path) -> str | None:
    """How far a reindex that has begun and not ended has come."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(5_000)
    found = connection.execute("SELECT value FROM meta WHERE key = 'reindex'").fetchall()
    connection.close()
    return found[0][0] if found else None


async def test_a_reindex_killed_again_and_again_ends_with_every_word_found(tmp_path: Path) -> None:
    config = configure(tmp_path)
    expected = write_rows(tmp_path, "one", 12_000)
    with running(config):
        await until_stored(tmp_path / "listener.db", expected)
        command = [sys.executable, "-m", "listener.cli", "--config", str(config), "reindex"]
        environment = {**os.environ, "OUTAGE_SECRET": SECRET}
        for turn in range(4):
            before = reindexed_to(tmp_path / "listener.db")
            assert turn == 0 or before is not None, "no kill met the reindex at work"
            reindexing = await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.DEVNULL)
            expected |= write_rows(tmp_path, f"turn{turn}", 50)  # the service writes on
            async with asyncio.timeout(30):
                while reindexed_to(tmp_path / "listener.db") in (None, before):
                    await asyncio.sleep(0.002)
            reindexing.kill()
            await reindexing.wait()
        await until_stored(tmp_path / "listener.db", expected)
        done = await asyncio.to_thread(subprocess.run, command, env=environment, stdout=subprocess.DEVNULL)
        assert done.returncode == 0
    engine = EmbeddedEngine(tmp_path / "listener.db")
    await engine.open()
    found = {record.mention.native_id async for record in engine.export("delivery", datetime.now(UTC))}
    assert found == expected
    assert (await engine.status(check=True)).problems == ()
    await engine.close()
    check = apsw.Connection(str(tmp_path / "listener.db"))
    check.execute("INSERT INTO fts(fts) VALUES ('integrity-check')")
    check.close()


# --- the door of the service ----------------------------------------------------------------------


@asynccontextmanager
async def door(settings: Settings, *, started: bool) -> AsyncIterator[tuple[Service, str]]:
    """The HTTP side over a service, started or not, in this process."""
    async with opened(settings, service=True) as app:
        service = Service(app)
        runner = aiohttp.web.AppRunner(application(service))
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        if started:
            await service.start()
        try:
            yield service, f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
            await service.stop()


async def test_a_push_before_the_service_is_ready_is_asked_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTAGE_SECRET", SECRET)
    settings = loads(configure(tmp_path).read_text("utf8"), tmp_path)
    async with door(settings, started=False) as (_, address), aiohttp.ClientSession() as session:
        assert await push(session, address, "early") == 503
    async with door(settings, started=True) as (_, address), aiohttp.ClientSession() as session:
        assert await push(session, address, "early") == 202


async def test_a_full_inbox_asks_senders_to_come_again_and_then_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTAGE_SECRET", SECRET)
    settings = loads(configure(tmp_path, inbox=5).read_text("utf8"), tmp_path)
    taken = [f"push {number}" for number in range(5)]
    async with door(settings, started=True) as (service, address), aiohttp.ClientSession() as session:
        for worker in service._workers:
            worker.stop()  # nobody reads the inbox any more
        await asyncio.sleep(0.2)
        assert [await push(session, address, native) for native in taken] == [202] * 5
        assert await push(session, address, "one more") == 503
        assert await push(session, address, taken[0]) == 200  # what is there already is no news
    async with door(settings, started=True) as (_, address), aiohttp.ClientSession() as session:
        await until_stored(tmp_path / "listener.db", set(taken))
        assert await push(session, address, "one more") == 202
        await until_stored(tmp_path / "listener.db", {*taken, "one more"})

"""Removal down to the bytes, backup beside writes, chunks and status of the embedded engine."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest

from index.contract import Alert, Batch, Case, Change, Correction, Evidence, Group, Plan, Subscription
from index.embedded.engine import EmbeddedEngine
from listener.errors import InputError, TemporaryError
from listener.model import (
    EMOTIONS,
    INTENTS,
    Analysis,
    Author,
    Deletion,
    Mention,
    Page,
    Record,
    Reject,
    Segment,
    Sentiment,
    mention_id,
    to_ms,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHUNK = 500  # mentions a transaction of a large removal takes, as the design says
NEGATIVE = Sentiment("negative", {"negative": 1.0, "neutral": 0.0, "positive": 0.0})
NO_EMOTIONS, NO_INTENTS = dict.fromkeys(EMOTIONS, 0.0), dict.fromkeys(INTENTS, 0.0)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EmbeddedEngine]:
    opened = EmbeddedEngine(tmp_path / "store.db")
    await opened.open()
    yield opened
    await opened.close()


def secret(number: int) -> str:
    """A word that stands in mention `number` and nowhere else."""
    return "w" + hashlib.sha256(f"secret {number}".encode()).hexdigest()[:15]


def vector(number: int) -> bytes:
    return random.Random(number).randbytes(384)


def record(number: int, handle: str, days: int = 0) -> Record:
    """An analysed mention whose length varies, so that the tables' pages split and merge."""
    filler = "late parcel " * random.Random(number).randrange(1, 60)
    text = f"{filler}{secret(number)}"
    published = NOW - timedelta(days=days, minutes=number)
    mention = Mention(
        mention_id("test", str(number)), str(number), "shop", "review", "site", text, published, NOW,
        to_ms(published), title=f"about {secret(number)}", author=Author(handle, id=f"id-of-{handle}"),
        url=f"https://example.invalid/{handle}/{number}",
    )  # fmt: skip
    segment = Segment(0, len(text), "reception", 0.9, NEGATIVE, NO_EMOTIONS, NO_INTENTS)
    return Record(
        mention,
        Analysis("fake@1", "en", NEGATIVE, NO_EMOTIONS, NO_INTENTS, 1.0, (segment,), False, vector(number)),
    )


class Each:
    """An alert per mention with its text as evidence, grouped by author."""

    def groups(self, changes: Sequence[Change], _: object) -> set[tuple[str, str]]:
        return set()

    def plan(self, changes: Sequence[Change], _: object, groups: dict[tuple[str, str], Group], now: datetime) -> Plan:
        return Plan(tuple(self.alert(change.after.mention, now) for change in changes))

    def alert(self, mention: Mention, now: datetime) -> Alert:
        author = mention.author.handle if mention.author and mention.author.handle else ""
        evidence = Evidence(mention.id, mention.version, now, {"text": mention.text, "author": author})
        return Alert(f"{mention.id}-{mention.version}", "all", author, now, now, (evidence,), ("console",))


async def save(engine: EmbeddedEngine, *records: Record, **page: object) -> None:
    mentions = tuple(item.mention for item in records)
    await engine.save(Batch("shop", Page(mentions, **page), records, NOW), Each())  # type: ignore[arg-type]  # a test's


async def fill(engine: EmbeddedEngine, records: Sequence[Record]) -> None:
    """Store records in random order, each with a second version, and some with a case and a correction."""
    await engine.put_subscription(Subscription("all", "*", NOW))
    order = random.Random(7).sample(list(records), len(records))
    for start in range(0, len(order), 100):
        await save(engine, *order[start : start + 100])
    for item in order[::5]:
        mention = item.mention
        newer = Mention(
            **{**{name: getattr(mention, name) for name in mention.__slots__}, "version": mention.version + 1}
        )
        await save(engine, Record(newer, item.analysis))
        await engine.put_case(Case(mention.id, "new", NOW, data={"notes": [mention.text]}))
        await engine.add_correction(Correction(mention.id, mention.version, NOW, {"text": mention.text}))


def left(folder: Path, needles: Sequence[str | bytes]) -> list[str | bytes]:
    """The needles that some file of the folder still holds."""
    everything = b"\0".join(file.read_bytes() for file in sorted(folder.iterdir()))
    lowered = everything.lower()
    return [
        item for item in needles if (item.lower().encode() in lowered if isinstance(item, str) else item in everything)
    ]


def named(folder: Path, start: str) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.name.startswith(start))


async def test_no_byte_of_an_erased_author_is_left_in_any_file(engine: EmbeddedEngine, tmp_path: Path) -> None:
    theirs = [record(number, "Ana_Lopez") for number in range(0, 1500, 5)]
    await fill(engine, [*theirs, *(record(number, "bob") for number in range(1500) if number % 5)])
    await save(engine, rejects=(Reject(f"ana_lopez {secret(-1)}".encode(), "bad"),))
    await engine.inbox_put("hook", "e1", f"ANA_LOPEZ {secret(-2)}".encode(), NOW)
    words = [secret(number) for number in (*range(0, 1500, 5), -1, -2)]
    needles: list[str | bytes] = ["ana_lopez", *words, *(vector(number) for number in range(0, 1500, 5))]
    assert left(tmp_path, needles) == needles
    assert await engine.erase("@ana_lopez") == len(theirs)
    assert left(tmp_path, needles) == []
    others = [secret(number) for number in range(1500) if number % 5]
    assert left(tmp_path, others) == others


async def test_no_byte_of_an_expired_mention_is_left_in_any_file(engine: EmbeddedEngine, tmp_path: Path) -> None:
    old = [record(number, f"author{number}x", days=30) for number in range(400)]
    await fill(engine, [*old, *(record(number, "bob") for number in range(400, 800))])
    needles = [word for number in range(400) for word in (secret(number), f"author{number}x")]
    assert left(tmp_path, needles) == needles
    assert await engine.expire(NOW - timedelta(days=29)) == 400
    assert left(tmp_path, needles) == []
    assert (await engine.status()).mentions == 400


async def test_deletions_at_the_source_leave_no_byte_after_the_next_scrub(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    records = [record(number, f"author{number}x") for number in range(800)]
    await fill(engine, records)
    gone = records[::2]
    await save(engine, deletions=tuple(Deletion(item.mention.id, NOW) for item in gone))
    assert await engine.scrub()
    assert left(tmp_path, [word for number in range(0, 800, 2) for word in (secret(number), f"author{number}x")]) == []
    assert not await engine.scrub()


async def test_handles_sampled_by_analyze_are_erased_too(engine: EmbeddedEngine, tmp_path: Path) -> None:
    await save(engine, *(record(number, f"author{number}x") for number in range(100)))
    with_statistics = apsw.Connection(str(tmp_path / "store.db"))
    with_statistics.execute("ANALYZE")
    with_statistics.close()
    handles = [f"author{number}x" for number in range(100)]
    for handle in handles:
        await engine.erase(handle)
    assert left(tmp_path, handles) == []


async def test_a_large_removal_goes_in_chunks_and_lets_other_writes_pass(engine: EmbeddedEngine) -> None:
    await save(engine, *(record(number, "ana") for number in range(2 * CHUNK + 100)))
    seen: list[tuple[int, int] | str] = []
    writes: list[asyncio.Task[None]] = []

    async def write() -> None:
        await save(engine, record(9999, "bob"))
        seen.append("bob's mention is stored")

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        if not writes:
            writes.append(asyncio.create_task(write()))

    total = 2 * CHUNK + 100
    assert await engine.erase("ana", progress) == total
    await writes[0]
    assert [item for item in seen if isinstance(item, tuple)] == [(CHUNK, total), (2 * CHUNK, total), (total, total)]
    assert seen.index("bob's mention is stored") < seen.index((total, total))


async def test_an_interrupted_erasure_is_a_problem_until_it_is_repeated(engine: EmbeddedEngine, tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def progress(done: int, total: int) -> None:
        raise Interrupted

    await save(engine, *(record(number, "ana_lopez") for number in range(CHUNK + 1)))
    with pytest.raises(Interrupted):
        await engine.erase("ana_lopez", progress)
    assert "did not finish" in (await engine.status()).problems[0]
    assert await engine.erase("ana_lopez") == 1
    assert (await engine.status()).problems == ()
    assert left(tmp_path, ["ana_lopez", *(secret(number) for number in range(CHUNK + 1))]) == []


async def test_erase_says_so_when_a_long_read_keeps_the_bytes_in_the_log(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    await save(engine, record(1, "ana_lopez"))
    reader = apsw.Connection(str(tmp_path / "store.db"))
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM mention").fetchall()
    with pytest.raises(TemporaryError, match="long read"):
        await engine.erase("ana_lopez")
    reader.execute("ROLLBACK")
    reader.close()
    assert await engine.erase("ana_lopez") == 0
    assert left(tmp_path, ["ana_lopez", secret(1)]) == []


async def test_a_backup_is_one_moment_of_the_store_while_writes_go_on(engine: EmbeddedEngine, tmp_path: Path) -> None:
    await save(engine, rejects=tuple(Reject(random.Random(n).randbytes(1 << 20), "large") for n in range(40)))
    pages, begun, done = 0, asyncio.Event(), asyncio.Event()

    async def write() -> None:
        nonlocal pages
        while not done.is_set():
            await save(engine, *(record(pages * 3 + n, "ana") for n in range(3)), cursor=str(pages + 1))
            pages += 1
            begun.set()

    writing = asyncio.create_task(write())
    await begun.wait()
    progress: list[tuple[int, int, int]] = []
    await engine.backup(str(tmp_path / "copy.db"), lambda copied, total: progress.append((copied, total, pages)))
    done.set()
    await writing
    assert progress[-1][0] == progress[-1][1] > 10_000
    assert progress[-1][2] > progress[0][2], "no write passed during the backup"
    assert named(tmp_path, "copy") == ["copy.db"]
    check = apsw.Connection(str(tmp_path / "copy.db"))
    assert check.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    check.close()
    copy = EmbeddedEngine(tmp_path / "copy.db")
    await copy.open()
    saved = int(await copy.cursor("shop") or 0)
    assert 1 <= saved <= pages
    assert (await copy.status(check=True)).mentions == 3 * saved
    assert (await copy.status(check=True)).problems == ()
    await copy.close()


async def test_a_backup_overwrites_nothing_and_needs_its_folder(engine: EmbeddedEngine, tmp_path: Path) -> None:
    there = tmp_path / "there.db"
    there.write_bytes(b"precious")
    with pytest.raises(InputError, match="exists already"):
        await engine.backup(str(there))
    assert there.read_bytes() == b"precious"
    with pytest.raises(InputError, match="folder"):
        await engine.backup(str(tmp_path / "missing" / "copy.db"))


async def test_a_cancelled_backup_leaves_no_file(engine: EmbeddedEngine, tmp_path: Path) -> None:
    await save(engine, rejects=tuple(Reject(random.Random(n).randbytes(1 << 20), "large") for n in range(40)))
    started = asyncio.Event()
    backup = asyncio.create_task(engine.backup(str(tmp_path / "copy.db"), lambda copied, total: started.set()))
    await started.wait()
    backup.cancel()
    with pytest.raises(asyncio.CancelledError):
        await backup
    assert named(tmp_path, "copy") == []


async def test_status_names_an_index_of_another_analyser_and_a_query_that_is_no_longer_read(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    await engine.put_subscription(Subscription("late", "parcel", NOW))
    assert (await engine.status()).problems == ()
    by_hand = apsw.Connection(str(tmp_path / "store.db"))
    by_hand.execute("UPDATE meta SET value = 'older' WHERE key = 'analyser'")
    by_hand.execute("UPDATE subscription SET data = replace(data, '\"parcel\"', '\"(parcel\"')")
    by_hand.close()
    first, second = (await engine.status()).problems
    assert "older" in first
    assert "listener reindex" in first
    assert "'late'" in second


async def test_status_counts_vectors_and_the_bytes_of_the_log(engine: EmbeddedEngine, tmp_path: Path) -> None:
    await save(engine, *(record(number, "ana") for number in range(5)))
    status = await engine.status()
    assert (status.mentions, status.analysed, status.vectors) == (5, 5, 5)
    assert status.bytes == sum((tmp_path / name).stat().st_size for name in ("store.db", "store.db-wal"))


async def test_a_damaged_page_is_found_when_asked(engine: EmbeddedEngine, tmp_path: Path) -> None:
    await fill(engine, [record(number, "ana") for number in range(300)])
    await engine.close()
    file = tmp_path / "store.db"
    page = file.stat().st_size // 4096 // 2
    with file.open("r+b") as handle:
        handle.seek(page * 4096)
        handle.write(b"\x0d" + b"\xff" * 2000)
    damaged = EmbeddedEngine(file)
    await damaged.open()
    assert any("damaged" in problem for problem in (await damaged.status(check=True)).problems)
    await damaged.close()

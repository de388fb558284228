"""The embedded store as a file that many releases, processes and readers share.

`python tests/unit/test_embedded_store.py` writes a store of the present schema to tests/data/stores as SQL. Whoever
appends a migration runs it once before the change is released; a file of a released schema never changes again.
"""

import asyncio
import base64
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest

from index.contract import ApiKey, Batch, Case, Change, Correction, Group, Plan, Search, Subscription
from index.embedded import schema
from index.embedded.database import Database
from index.embedded.engine import EmbeddedEngine
from listener.alerts import AlertRules
from listener.errors import DeadlineError, InputError, Overloaded, PermanentError, TemporaryError
from listener.model import (
    EMOTIONS,
    INTENTS,
    Analysis,
    Author,
    Deletion,
    Gap,
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
STORES = Path(__file__).parents[1] / "data" / "stores"
RELEASED = range(1, schema.VERSION + 1)
NEGATIVE = Sentiment("negative", {"negative": 1.0, "neutral": 0.0, "positive": 0.0})
NO_EMOTIONS, NO_INTENTS = dict.fromkeys(EMOTIONS, 0.0), dict.fromkeys(INTENTS, 0.0)
SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"  # never ends


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EmbeddedEngine]:
    opened = EmbeddedEngine(tmp_path / "store.db")
    await opened.open()
    yield opened
    await opened.close()


def mention(number: int, text: str = "", **fields: object) -> Mention:
    """A mention published `number` minutes before NOW."""
    at = NOW - timedelta(minutes=number)
    made = Mention(
        mention_id("test", str(number)), str(number), "shop", "review", "site",
        text or f"parcel number{number} came late", at, NOW, to_ms(at),
    )  # fmt: skip
    return replace(made, **fields)  # type: ignore[arg-type]  # fields of a mention


def analysed(of: Mention, vector: bytes | None = bytes(range(192)) * 2) -> Record:
    segment = Segment(0, len(of.text), "reception", 0.9, NEGATIVE, NO_EMOTIONS, NO_INTENTS)
    return Record(of, Analysis("fake@1", "en", NEGATIVE, NO_EMOTIONS, NO_INTENTS, 1.0, (segment,), False, vector))


async def save(engine: EmbeddedEngine, *records: Record, rules: AlertRules | None = None, **page: object) -> None:
    mentions = tuple(record.mention for record in records)
    await engine.save(Batch("shop", Page(mentions, **page), records, NOW, "off"), rules)  # type: ignore[arg-type]


async def found(engine: EmbeddedEngine, query: str) -> list[str]:
    hits = await engine.search(Search(query, size=1000), NOW)
    return [hit.record.mention.native_id for hit in hits.hits]


def sound(path: Path) -> bool:
    """Whether file and full-text tables agree with themselves, as SQLite sees it."""
    connection = apsw.Connection(str(path))
    try:
        for table in ("fts", "segment_fts"):
            connection.execute(f"INSERT INTO {table}({table}) VALUES ('integrity-check')")
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    except apsw.CorruptError:
        return False
    finally:
        connection.close()


# --- schemas of earlier releases ------------------------------------------------------------------


async def fill_for_release(engine: EmbeddedEngine) -> None:
    """One of everything a store keeps."""
    first = mention(1, "the parcel came late", author=Author("ana", followers=12), brand="Acme", rating=2.0)
    await engine.put_subscription(Subscription("late", "parcel", NOW, cooldown=timedelta(hours=1)))
    await save(
        engine, analysed(first), analysed(mention(2, "เสียงดีมาก 包裹迟到")), Record(mention(3, "still waiting")),
        analysed(mention(4, "soon deleted")), rules=AlertRules(), cursor="c1",
        rejects=(Reject(b"\xffbad", "not JSON", "line 9"),), gaps=(Gap("shop", NOW - timedelta(hours=2), NOW, "429"),),
    )  # fmt: skip
    await save(engine, analysed(replace(first, text="the parcel never came", version=first.version + 1)))
    await save(engine, deletions=(Deletion(mention(4).id, NOW),))
    await engine.put_case(Case(first.id, "assigned", NOW, "bo", NOW + timedelta(hours=1), data={"notes": ["call"]}))
    await engine.add_correction(Correction(first.id, first.version, NOW, {"step": "support"}))
    await engine.inbox_put("hook", "e1", b"{}", NOW)
    await engine.put_key(ApiKey("k1", "laptop", "0" * 64, ("read",), NOW))
    await engine.put_setting("colour", "blue")


async def check_release(engine: EmbeddedEngine) -> None:
    """Everything that `fill_for_release` wrote is there, found, and can be changed."""
    first = mention(1)
    assert sorted(await found(engine, "*")) == ["1", "2", "3"]
    assert await found(engine, 'brand:acme "never came" segments:(step:reception sentiment:negative)') == ["1"]
    assert await found(engine, "ดีมาก 迟到") == ["2"]
    assert await found(engine, "author:ana case:assigned owner:bo rating:2 followers:>=12") == ["1"]
    assert [record.mention.text for record in await engine.versions(first.id)] == ["the parcel came late"]
    assert len(await engine.neighbours(first.id, 5, now=NOW)) == 1
    assert await engine.facets("*", ["step", "brand"], NOW) == {"step": [("reception", 2)], "brand": [("Acme", 1)]}
    assert [(alert.subscription, len(alert.evidence)) for alert in await engine.alerts()] == [("late", 1)]
    assert [(item.alert.subscription, item.destination) for item in await engine.outgoing(9, NOW)] == [
        ("late", "console")
    ]
    assert await engine.cursor("shop") == "c1"
    assert [letter.raw for letter in await engine.dead_letters()] == [b"\xffbad"]
    assert [gap.reason for gap in await engine.gaps()] == ["429"]
    assert [body for _, _, body, _ in await engine.inbox_take("hook", 9)] == [b"{}"]
    assert [key.id for key in await engine.keys()] == ["k1"]
    assert dict(await engine.settings()) == {"colour": "blue"}
    assert [item.data for item in await engine.corrections()] == [{"step": "support"}]
    await save(engine, Record(mention(4, "soon deleted")))
    assert len(await found(engine, "*")) == 3, "a deleted mention came back"
    await save(engine, analysed(replace(first, text="it is here", version=first.version + 2)), analysed(mention(5)))
    assert await found(engine, "never") == []
    assert await found(engine, "number5") == ["5"]


def from_dump(number: int, path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute((STORES / f"schema-{number}.sql").read_text("utf8"))
    connection.close()


@pytest.mark.parametrize("number", RELEASED)
async def test_a_store_of_every_released_schema_opens_with_all_it_holds(tmp_path: Path, number: int) -> None:
    from_dump(number, tmp_path / "store.db")
    engine = EmbeddedEngine(tmp_path / "store.db")
    await engine.open()
    if (await engine.status()).problems:  # made by an older text analysis
        await engine.reindex()
    await check_release(engine)
    assert (await engine.status(check=True)).problems == ()
    await engine.close()
    assert sound(tmp_path / "store.db")


@pytest.mark.parametrize("number", RELEASED)
def test_the_statements_of_a_released_schema_never_change(tmp_path: Path, number: int) -> None:
    from_dump(number, tmp_path / "then.db")
    made = apsw.Connection(str(tmp_path / "now.db"))
    for migration in schema.MIGRATIONS[:number]:
        made.execute(migration)
    made.close()
    assert tables(tmp_path / "now.db") == tables(tmp_path / "then.db")


def tables(path: Path) -> dict[str, str]:
    """Name and statement of everything in a file but what SQLite makes for itself."""
    connection = apsw.Connection(str(path))
    listed = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    made = {name: " ".join(sql.split()) for name, sql in connection.execute(listed)}
    connection.close()
    return made


async def test_a_store_of_a_later_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    by_hand = apsw.Connection(str(tmp_path / "store.db"))
    by_hand.pragma("user_version", schema.VERSION + 1)
    by_hand.close()
    engine = EmbeddedEngine(tmp_path / "store.db")
    with pytest.raises(PermanentError, match="release"):
        await engine.open()
    await engine.close()
    assert tables(tmp_path / "store.db") == {}


@pytest.mark.parametrize("content", [b"", b"this is no database at all" * 400])
async def test_an_empty_file_becomes_a_store_and_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "store.db").write_bytes(content)
    engine = EmbeddedEngine(tmp_path / "store.db")
    if content:
        with pytest.raises(PermanentError, match="database"):
            await engine.open()
        assert (tmp_path / "store.db").read_bytes() == content
    else:
        await engine.open()
        assert (await engine.status()).mentions == 0
    await engine.close()


async def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    by_hand = apsw.Connection(str(tmp_path / "store.db"))
    by_hand.execute("CREATE TABLE customer(name TEXT)")
    by_hand.close()
    engine = EmbeddedEngine(tmp_path / "store.db")
    with pytest.raises(PermanentError, match="something else"):
        await engine.open()
    await engine.close()
    assert list(tables(tmp_path / "store.db")) == ["customer"]


async def test_many_that_open_a_new_store_at_once_make_one(tmp_path: Path) -> None:
    engines = [EmbeddedEngine(tmp_path / "new" / "store.db") for _ in range(8)]
    await asyncio.gather(*(engine.open() for engine in engines))
    await asyncio.gather(*(engine.put_setting(str(number), "x") for number, engine in enumerate(engines)))
    assert len(await engines[0].settings()) == 8
    for engine in engines:
        await engine.close()


# --- a change of the text analysis ----------------------------------------------------------------


def of_another_analysis(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE meta SET value = 'older' WHERE key = 'analyser'")
    connection.close()


async def test_after_a_change_of_the_analysis_writes_wait_for_reindex_and_searches_answer(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    theirs = analysed(mention(1, author=Author("ana")))
    await save(engine, theirs, analysed(mention(2)))
    of_another_analysis(tmp_path / "store.db")
    writes = [
        save(engine, analysed(mention(3))),
        save(engine, deletions=(Deletion(mention(2).id, NOW),)),
        engine.analysed([(theirs.mention.id, theirs.mention.version, "failed")], NOW),
        engine.erase("ana"),
        engine.expire(NOW),
    ]
    for write in writes:
        with pytest.raises(TemporaryError, match="reindex"):
            await write
    assert await found(engine, "parcel") == ["1", "2"]
    await engine.reindex()
    assert await engine.erase("ana") == 1
    assert await found(engine, "parcel") == ["2"]
    assert sound(tmp_path / "store.db")


async def test_an_interrupted_reindex_goes_on_where_it_was_whatever_was_written_meanwhile(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(done: int, total: int) -> None:
        raise Interrupted

    count = 2500
    await save(engine, *(analysed(mention(number), None) for number in range(count)))
    of_another_analysis(tmp_path / "store.db")
    with pytest.raises(Interrupted):
        await engine.reindex(interrupt)
    edited = [0, 1, count - 2, count - 1]  # the newest and the oldest: not reached yet, and reached
    for number in edited:
        newer = mention(number, f"edited{number}", version=mention(number).version + 1)
        await save(engine, analysed(newer, None))
    await save(engine, deletions=tuple(Deletion(mention(number).id, NOW) for number in (5, count - 5)))
    await save(engine, analysed(mention(count + 7), None), analysed(mention(-7), None))
    seen: list[int] = []
    again = EmbeddedEngine(tmp_path / "store.db")
    await again.open()
    await again.reindex(lambda done, total: seen.append(done))
    await again.close()
    assert seen[-1] < count - 500, "it began anew"
    for number in range(0, count, 50):
        expected = [] if number in edited else [str(number)]
        assert await found(engine, f"number{number}") == expected
    for number in edited:
        assert await found(engine, f"edited{number}") == [str(number)]
    assert await found(engine, f"number5 OR number{count - 5}") == []
    assert await found(engine, f"number{count + 7}") == [str(count + 7)]
    assert sound(tmp_path / "store.db")
    assert (await engine.search(Search("parcel"), NOW)).total == count - len(edited) - 2 + 2


# --- readers --------------------------------------------------------------------------------------


def slow(connection: apsw.Connection) -> list[object]:
    return connection.execute(SLOW).fetchall()


def quick(connection: apsw.Connection) -> list[object]:
    return connection.execute("SELECT 1").fetchall()


async def test_a_slow_read_is_stopped_at_its_limit_and_the_next_one_works(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db", readers=1)
    await database.write(quick)
    for _ in range(3):
        start = time.monotonic()
        with pytest.raises(DeadlineError, match=r"0\.3 s"):
            await database.read(slow, 0.3)
        assert time.monotonic() - start < 1.5
        assert await database.read(quick) == [(1,)]
    await database.close()


async def test_reads_that_waited_too_long_for_a_connection_are_dropped_so_that_they_never_pile_up(
    tmp_path: Path,
) -> None:
    database = Database(tmp_path / "store.db", readers=2)
    await database.write(quick)
    start = time.monotonic()
    flood = [asyncio.create_task(database.read(slow, 0.5)) for _ in range(40)]
    await asyncio.sleep(0)
    assert await database.read(quick, None) == [(1,)]  # such as the pipeline's own, behind them all
    assert time.monotonic() - start < 3
    outcomes = await asyncio.gather(*flood, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {DeadlineError, Overloaded}
    await database.close()


async def test_cancelling_a_read_stops_its_statement(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db", readers=1)
    await database.write(quick)
    reading = asyncio.create_task(database.read(slow, None))
    await asyncio.sleep(0.2)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    async with asyncio.timeout(2):
        assert await database.read(quick, None) == [(1,)]
    await database.close()


async def test_everything_can_be_asked_of_an_empty_store(engine: EmbeddedEngine) -> None:
    assert (await engine.search(Search("*"), NOW)).total == 0
    assert (await engine.search(Search("a~ OR b*", sort="relevance"), NOW)).hits == ()
    for mode in ("meaning", "hybrid"):
        assert (await engine.search(Search("word", mode=mode, vector=bytes(384)), NOW)).hits == ()
    fields = ("lang", "brand", "rating", "sentiment", "emotion", "step", "effort", "author")
    assert await engine.facets("*", fields, NOW) == {name: [] for name in fields}
    assert await engine.series("*", "day", NOW, "emotion") == []
    assert await engine.journey("*", NOW) == []
    assert [record async for record in engine.export("*", NOW)] == []
    assert await engine.select("*", NOW) == []
    assert await engine.erase("nobody") == 0
    assert await engine.expire(NOW) == 0
    assert await engine.reindex() == 0
    assert (await engine.status(check=True)).problems == ()


FORGED = [
    {}, [], 5, None, {"position": -1}, {"position": 10**9}, {"position": 1.5}, {"position": 0, "more": 1},
    {"total": 1, "bound": 1, "after": [[1], 5]}, {"total": 1, "bound": 1, "after": [None, 10**30]},
    {"total": 1, "bound": "x", "after": [None, 5]}, {"total": True, "bound": 1, "after": [None, 5]},
    {"total": 1, "bound": 1, "after": [{"a": 1}, 5]}, {"total": 1, "bound": 1, "after": None},
    {"total": 1, "bound": 1, "after": ["1 OR 1=1", 5]},
]  # fmt: skip


@pytest.mark.parametrize("sort", ["-date", "rating", "relevance"])
@pytest.mark.parametrize("state", FORGED)
async def test_a_forged_page_token_is_refused(engine: EmbeddedEngine, sort: str, state: object) -> None:
    await save(engine, *(analysed(mention(number, rating=3.0)) for number in range(3)))
    token = (await engine.search(Search("parcel", sort=sort, size=1), NOW)).next
    assert token is not None
    signature = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))[0]
    forged = base64.urlsafe_b64encode(json.dumps([signature, state]).encode()).decode().rstrip("=")
    with pytest.raises(InputError, match="page token"):
        await engine.search(Search("parcel", sort=sort, size=1, page=forged), NOW)


async def test_a_page_token_nested_without_end_is_refused(engine: EmbeddedEngine) -> None:
    token = base64.urlsafe_b64encode(b"[" * 200_000).decode()
    with pytest.raises(InputError, match="page token"):
        await engine.search(Search("parcel", page=token), NOW)


# --- several at once ------------------------------------------------------------------------------


async def test_two_processes_that_write_at_once_lose_nothing(engine: EmbeddedEngine, tmp_path: Path) -> None:
    program = (
        "import asyncio, importlib.util, sys; from pathlib import Path\n"
        "spec = importlib.util.spec_from_file_location('store_test', sys.argv[2])\n"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "asyncio.run(module.write_some(Path(sys.argv[1]), 10_000))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "store.db"), __file__]
    other = await asyncio.create_subprocess_exec(*command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE)
    await write_some(tmp_path / "store.db", 0)
    _, errors = await other.communicate()
    assert other.returncode == 0, errors.decode()
    assert (await engine.search(Search("brand:shared"), NOW)).total == 400
    assert await engine.facets("*", ["brand"], NOW) == {"brand": [("shared", 400)]}
    assert sound(tmp_path / "store.db")


async def write_some(path: Path, start: int) -> None:
    """40 pages of 5 mentions, each in a transaction of its own, all with one new brand."""
    engine = EmbeddedEngine(path)
    await engine.open()
    for page in range(start, start + 200, 5):
        await save(engine, *(analysed(mention(page + n, brand="shared")) for n in range(5)))
    await engine.close()


async def test_a_subscription_of_another_process_matches_the_very_next_page(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    await save(engine, analysed(mention(1)), rules=AlertRules())
    other = EmbeddedEngine(tmp_path / "store.db")
    await other.open()
    await other.put_subscription(Subscription("late", "parcel", NOW))
    await save(engine, analysed(mention(2)), rules=AlertRules())
    assert [alert.evidence[0].mention_id for alert in await engine.alerts()] == [mention(2).id]
    await other.delete_subscription("late")
    await save(engine, analysed(mention(3)), rules=AlertRules())
    assert len(await engine.alerts()) == 1
    await other.close()


class Breaking(AlertRules):
    """Rules that end a write with an error, after a while."""

    def plan(
        self, changes: Sequence[Change], subscriptions: Mapping[str, Subscription],
        groups: Mapping[tuple[str, str], Group], now: datetime,
    ) -> Plan:  # fmt: skip
        time.sleep(0.3)
        raise RuntimeError("broken on purpose")


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_write_taken_back_leaves_no_word_behind_even_where_nobody_waits_for_it(
    engine: EmbeddedEngine, cancelled: bool
) -> None:
    await engine.put_subscription(Subscription("late", "parcel", NOW))
    writing = asyncio.create_task(save(engine, analysed(mention(1, brand="Acme")), rules=Breaking()))
    if cancelled:
        await asyncio.sleep(0.1)  # inside the transaction
        writing.cancel()
    with pytest.raises(asyncio.CancelledError if cancelled else RuntimeError):
        await writing
    await save(engine, analysed(mention(2, brand="Other")))
    await save(engine, analysed(mention(3, brand="Acme")))
    assert await engine.facets("*", ["brand"], NOW) == {"brand": [("Acme", 1), ("Other", 1)]}
    assert await found(engine, "brand:Acme") == ["3"]


async def test_a_mention_deleted_by_its_own_page_leaves_no_alert_with_its_words(engine: EmbeddedEngine) -> None:
    await engine.put_subscription(Subscription("late", "parcel", NOW))
    gone, stays = mention(1, "parcel secretword"), mention(2)
    await save(engine, analysed(gone), analysed(stays), rules=AlertRules(), deletions=(Deletion(gone.id, NOW),))
    assert [item.mention_id for alert in await engine.alerts() for item in alert.evidence] == [stays.id]


async def test_a_vector_of_another_length_is_refused(engine: EmbeddedEngine) -> None:
    with pytest.raises(InputError, match="384"):
        await save(engine, analysed(mention(1), b"short"))
    await save(engine, analysed(mention(1)))
    assert len((await engine.search(Search("*", mode="meaning", vector=bytes(384)), NOW)).hits) == 1


# --- the dump of the present schema ---------------------------------------------------------------


async def write_dump(folder: Path) -> None:
    """Write tests/data/stores/schema-N.sql for the present N."""
    engine = EmbeddedEngine(folder / "store.db")
    await engine.open()
    await fill_for_release(engine)
    await engine.close()
    connection = apsw.Connection(str(folder / "store.db"))
    kinds = {name: kind for _, name, kind, *_ in connection.execute("PRAGMA main.table_list")}
    made = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
    lines = [f"{sql};" for name, sql in connection.execute(made) if kinds.get(name) != "shadow"]
    for name in sorted(name for name, kind in kinds.items() if kind in ("table", "shadow") and "schema" not in name):
        columns = [f'"{column}"' for _, column, *_ in connection.execute(f"PRAGMA table_info({name})")]
        values = " || ',' || ".join(f"quote({column})" for column in columns)
        lines.append(f"DELETE FROM {name};")
        for (row,) in connection.execute(f"SELECT {values} FROM {name}"):
            lines.append(f"INSERT INTO {name}({','.join(columns)}) VALUES ({row});")
    connection.close()
    lines.append(f"PRAGMA user_version = {schema.VERSION};")
    STORES.mkdir(parents=True, exist_ok=True)
    (STORES / f"schema-{schema.VERSION}.sql").write_text("\n".join(lines) + "\n", "utf8")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        asyncio.run(write_dump(Path(place)))

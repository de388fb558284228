"""The nightly upkeep: what the terms say, when the clock says so."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from connectors.base import SourceConfig
from index.contract import Batch, Search
from index.embedded.engine import EmbeddedEngine
from listener.model import Deletion, Mention, Page, Record, mention_id, to_ms
from listener.nightly import Nightly

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def record(native: str, source: str, days: int) -> Record:
    """A mention of a source, so many days old."""
    at = NOW - timedelta(days=days)
    return Record(
        Mention(mention_id("n", native), native, source, "review", "web", f"text{native}", at, NOW, to_ms(at))
    )


async def test_each_source_keeps_its_mentions_as_long_as_its_terms_allow(tmp_path: Path) -> None:
    engine = EmbeddedEngine(tmp_path / "store.db")
    await engine.open()
    stored = [record("a", "short", 40), record("b", "short", 5), record("c", "long", 40)]
    for item in stored:
        await engine.save(Batch(item.mention.source, Page(), (item,), NOW, "off"))
    short = SourceConfig.model_validate({"connector": "x", "terms": {"max_retention": "30d"}})
    sources = {"short": short, "long": SourceConfig(connector="x")}
    assert await Nightly(engine, sources, "UTC", lambda: NOW).once() == 1
    hits = await engine.search(Search("*"), NOW)
    assert {hit.record.mention.native_id for hit in hits.hits} == {"b", "c"}
    await engine.close()


async def test_after_the_night_no_byte_of_a_mention_deleted_at_its_source_is_left(tmp_path: Path) -> None:
    engine = EmbeddedEngine(tmp_path / "store.db")
    await engine.open()
    many = tuple(record(f"secretword{n}", "s", n % 9) for n in range(300))
    await engine.save(Batch("s", Page(), many, NOW, "off"))
    gone = tuple(Deletion(item.mention.id, NOW) for item in many[:200])
    await engine.save(Batch("s", Page(deletions=gone), (), NOW, "off"))
    await Nightly(engine, {}, "UTC", lambda: NOW).once()
    await engine.close()
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"secretword250" in left
    assert b"secretword150" not in left


def test_the_next_night_is_half_past_three_by_the_clock_of_the_zone() -> None:
    def following(zone: str, *at: int) -> str:
        nightly = Nightly(EmbeddedEngine(Path("unused.db")), {}, zone, lambda: NOW)
        return nightly.next_time(datetime(*at, tzinfo=UTC)).astimezone(UTC).isoformat()  # type: ignore[arg-type, misc]

    assert following("UTC", 2026, 11, 24, 3, 29) == "2026-11-24T03:30:00+00:00"
    assert following("UTC", 2026, 11, 24, 3, 30) == "2026-11-25T03:30:00+00:00"
    assert following("Asia/Tokyo", 2026, 11, 24, 12, 0) == "2026-11-24T18:30:00+00:00"
    # the night of 25 October 2026 has 25 hours in Paris: half past three stays half past three
    assert following("Europe/Paris", 2026, 10, 24, 12, 0) == "2026-10-25T02:30:00+00:00"

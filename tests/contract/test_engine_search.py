"""One suite for the searches of every engine: the same mentions as the in-memory evaluator, in one order."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from index.ast import Node
from index.contract import Batch, Search, Subscription
from index.document import Document
from index.embedded.engine import EmbeddedEngine
from index.evaluate import evaluate
from index.query import parse
from listener.alerts import AlertRules
from listener.errors import InputError, QueryError
from listener.model import EMOTIONS, SENTIMENTS, Page, Record, mention_id, to_ms
from tests import strategies

NOW = strategies.NOW
SIZE = 150


def corpus(count: int = SIZE) -> list[Record]:
    """The same generated records in every run, with vectors, ids all different."""
    found: list[Record] = []

    @seed(20261124)
    @settings(
        max_examples=count + 20, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategies.records())
    def collect(record: Record) -> None:
        native = str(len(found))
        mention = replace(record.mention, native_id=native, id=mention_id("generated", native))
        found.append(replace(record, mention=mention))

    collect()
    draw = random.Random(4)
    records = found[:count]
    assert len(records) == count
    return [
        replace(r, analysis=r.analysis and replace(r.analysis, vector=bytes(draw.randrange(256) for _ in range(384))))
        for r in records
    ]


class Stored:
    """An engine that holds the corpus, with a loop of its own, so that hypothesis can ask it."""

    def __init__(self, path: Path) -> None:
        self.records = corpus()
        self.loop = asyncio.new_event_loop()
        self.engine = EmbeddedEngine(path)
        self.do(self.engine.open())
        # out of order, in several pages, some of them edited afterwards: what is found must not show it
        shuffled = random.Random(1).sample(self.records, len(self.records))
        older = [replace(r, mention=replace(r.mention, text="older words late", version=1)) for r in shuffled[:40]]
        for part in (older, shuffled[:70], shuffled[70:]):
            self.do(self.engine.save(Batch("shop", Page(), tuple(part), NOW, "off")))

    def do(self, work: Any) -> Any:
        """Run one call to its end."""
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        """Let go."""
        self.do(self.engine.close())
        self.loop.close()

    def found(self, query: str, **more: Any) -> tuple[int, list[str]]:
        """The total and all ids, walked in small pages."""
        ids: list[str] = []
        token, total = None, -1
        while True:
            hits = self.do(self.engine.search(Search(query, size=37, page=token, **more), NOW))
            total = hits.total if total < 0 else total
            assert hits.total == total
            ids += [hit.record.mention.id for hit in hits.hits]
            token = hits.next
            if token is None:
                return total, ids

    def expected(self, node: Node) -> set[str]:
        """What the evaluator says."""
        return {r.mention.id for r in self.records if evaluate(node, Document(r))}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    held = Stored(tmp_path_factory.mktemp("engine") / "store.db")
    yield held
    held.close()


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(query=strategies.query_texts())
def test_a_query_finds_what_the_evaluator_finds(stored: Stored, query: str) -> None:
    try:
        node = parse(query, now=NOW)
    except QueryError:
        return
    total, ids = stored.found(query)
    assert set(ids) == stored.expected(node)
    assert total == len(ids) == len(set(ids))


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(node=strategies.nodes())
def test_any_tree_finds_what_the_evaluator_finds(stored: Stored, node: Node) -> None:
    from index.embedded.compile import Compiler
    from index.embedded.database import rows

    def look(connection: Any) -> set[str]:
        sql, values = Compiler(connection, to_ms(NOW)).plan(node).select("m.rowid", rowid_only=True)
        keys = ",".join(str(key) for (key,) in rows(connection, sql, *values))
        return {key.hex() for (key,) in rows(connection, f"SELECT id FROM mention WHERE rowid IN ({keys})")}

    assert stored.do(stored.engine._db.read(look)) == stored.expected(node)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(query=strategies.query_texts())
def test_a_subscription_matches_exactly_what_its_query_finds(stored: Stored, query: str) -> None:
    subscription = Subscription("s", query, NOW)
    try:
        stored.do(stored.engine.put_subscription(subscription))
    except QueryError:
        return
    if " now" in query or "now-" in query:  # relative dates of subscriptions mean the time of matching
        return
    matches = stored.do(stored.engine.match(stored.records))
    matched = {r.mention.id for r, found in zip(stored.records, matches, strict=True) if found}
    assert matched == set(stored.found(query)[1])


@pytest.mark.parametrize(
    "sort", ["date", "-date", "received", "-received", "rating", "-rating", "followers", "-followers"]
)
def test_every_order_is_by_value_then_by_age_and_holds_everything_once(stored: Stored, sort: str) -> None:
    total, ids = stored.found("*", sort=sort)
    assert total == len(ids) == len(set(ids)) == SIZE
    by_id = {r.mention.id: r.mention for r in stored.records}
    name, sign = sort.lstrip("-"), -1 if sort.startswith("-") else 1

    def key(mention_id: str) -> tuple[Any, ...]:
        mention = by_id[mention_id]
        age = (sign * to_ms(mention.published_at), sign * int(mention.id, 16))
        value = {
            "date": 0, "received": to_ms(mention.received_at), "rating": mention.rating,
            "followers": mention.author.followers if mention.author else None,
        }[name]  # fmt: skip
        return (value is None, sign * (value or 0), *age)

    assert ids == sorted(ids, key=key)


def test_relevance_puts_the_rarer_and_denser_first_and_boosts_count(stored: Stored) -> None:
    _, plain = stored.found("late OR kargo", sort="relevance")
    _, boosted = stored.found("late OR kargo^20", sort="relevance")
    assert set(plain) == set(boosted)
    with_kargo = stored.expected(parse("kargo", now=NOW))
    assert with_kargo and set(boosted[: len(with_kargo)]) == with_kargo


def test_facets_count_the_mentions_that_have_a_value(stored: Stored) -> None:
    fields = ["lang", "channel", "brand", "overall", "sentiment", "emotion", "step", "rating"]
    facets = stored.do(stored.engine.facets("late", fields, NOW, size=100))
    found = [r for r in stored.records if r.mention.id in stored.expected(parse("late", now=NOW))]
    assert found
    counted = {name: dict(values) for name, values in facets.items()}
    assert counted["channel"] == Counter(r.mention.channel for r in found)
    assert counted["brand"] == Counter(r.mention.brand for r in found if r.mention.brand)
    assert counted["overall"] == Counter(r.analysis.sentiment.label for r in found if r.analysis)
    per = [{s.sentiment.label for s in r.analysis.segments} for r in found if r.analysis]
    assert counted["sentiment"] == {label: n for label in SENTIMENTS if (n := sum(label in labels for labels in per))}
    felt = [{e for s in r.analysis.segments for e in EMOTIONS if s.emotions[e] >= 0.5} for r in found if r.analysis]
    assert counted["emotion"] == {e: n for e in EMOTIONS if (n := sum(e in emotions for emotions in felt))}
    assert [n for _, n in facets["brand"]] == sorted((n for _, n in facets["brand"]), reverse=True)


def test_label_facets_keep_to_the_clause_of_the_query(stored: Stored) -> None:
    query = "segments:(sentiment:negative)"
    facets = stored.do(stored.engine.facets(query, ["step", "sentiment"], NOW, size=100))
    per = [
        {s.step for s in r.analysis.segments if s.sentiment.label == "negative"} for r in stored.records if r.analysis
    ]
    steps = {step for found in per for step in found}
    assert dict(facets["step"]) == {step: sum(step in found for found in per) for step in steps}
    assert [label for label, _ in facets["sentiment"]] == ["negative"]


@pytest.mark.parametrize(
    ("timezone", "hours"), [("Europe/Paris", 1), ("America/New_York", -4), ("Asia/Kathmandu", 5.75)]
)
def test_days_of_a_series_follow_the_clock_of_the_zone(stored: Stored, timezone: str, hours: float) -> None:
    series = stored.do(stored.engine.series("*", "day", NOW, None, timezone))
    assert sum(bucket.count for bucket in series) == SIZE
    from zoneinfo import ZoneInfo

    expected = Counter(r.mention.published_at.astimezone(ZoneInfo(timezone)).date() for r in stored.records)
    assert {bucket.start.astimezone(ZoneInfo(timezone)).date(): bucket.count for bucket in series} == expected


def test_the_hour_that_a_day_skips_or_repeats_changes_no_total(stored: Stored) -> None:
    for interval in ("hour", "day", "week", "month"):
        series = stored.do(stored.engine.series("*", interval, NOW, "channel", "Europe/Paris"))
        assert sum(bucket.count for bucket in series) == SIZE
        assert [b.start for b in series] == sorted(b.start for b in series)


def test_the_journey_counts_every_segment_under_its_step(stored: Stored) -> None:
    steps = {item.step: item for item in stored.do(stored.engine.journey("*", NOW))}
    segments = [s for r in stored.records if r.analysis for s in r.analysis.segments]
    assert {name: item.segments for name, item in steps.items()} == Counter(s.step for s in segments)
    for name, item in steps.items():
        of_step = [s for s in segments if s.step == name]
        assert item.negative == sum(s.sentiment.label == "negative" for s in of_step)
        assert item.uncertain == sum(s.uncertain for s in of_step)
        assert item.effort_n == sum(s.effort is not None for s in of_step)
        assert item.effort_sum == sum(s.effort or 0 for s in of_step)
        assert item.emotions["joy"] == sum(s.emotions["joy"] >= 0.5 for s in of_step)


def test_the_nearest_in_meaning_are_those_of_an_exact_scan(stored: Stored) -> None:
    import numpy as np

    wanted = [r for r in stored.records if r.analysis and r.analysis.vector]
    matrix = np.array(
        [np.frombuffer(r.analysis.vector, np.int8) for r in wanted if r.analysis and r.analysis.vector], float
    )
    query = matrix[3]
    cosine = matrix @ query / (np.linalg.norm(matrix, axis=1) * np.linalg.norm(query))
    best = [wanted[i].mention.id for i in np.argsort(-cosine)[:10]]
    hits = stored.do(stored.engine.search(Search("", mode="meaning", vector=wanted[3].analysis.vector, size=10), NOW))  # type: ignore[union-attr]
    assert [hit.record.mention.id for hit in hits.hits] == best
    near = stored.do(stored.engine.neighbours(wanted[3].mention.id, 9, now=NOW))
    assert [hit.record.mention.id for hit in near] == best[1:]


def test_a_filter_holds_in_meaning_and_hybrid_search(stored: Stored) -> None:
    vector = bytes(range(256)) + bytes(128)
    allowed = stored.expected(parse("channel:x", now=NOW))
    hits = stored.do(stored.engine.search(Search("channel:x", mode="meaning", vector=vector, size=1000), NOW))
    analysed = {r.mention.id for r in stored.records if r.analysis}
    assert {hit.record.mention.id for hit in hits.hits} == allowed & analysed
    hits = stored.do(stored.engine.search(Search("late channel:x", mode="hybrid", vector=vector, size=1000), NOW))
    assert {hit.record.mention.id for hit in hits.hits} <= allowed


def test_export_and_select_give_everything_once_in_their_order(stored: Stored) -> None:
    async def exported() -> list[Record]:
        return [record async for record in stored.engine.export("-channel:x", NOW)]

    ids = [r.mention.id for r in stored.do(exported())]
    assert ids == stored.found("-channel:x")[1]
    walked: list[str] = []
    while part := stored.do(stored.engine.select("-channel:x", NOW, walked[-1] if walked else None, 11)):
        walked += [r.mention.id for r in part]
    assert walked == sorted(ids)


def test_what_was_stored_comes_back_whole(stored: Stored) -> None:
    for record in stored.records[:50]:
        assert stored.do(stored.engine.get(record.mention.id)) == record


# --- pages under writes ---------------------------------------------------------------------------


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[EmbeddedEngine]:
    engine = EmbeddedEngine(tmp_path / "store.db")
    await engine.open()
    yield engine
    await engine.close()


async def test_now_in_a_subscription_is_the_time_of_matching(fresh: EmbeddedEngine) -> None:
    await fresh.put_subscription(Subscription("recent", "date:[now-1h TO now]", NOW))
    await fresh.put_subscription(Subscription("steady", "channel:x OR channel:bluesky OR channel:trustpilot", NOW))
    rules = AlertRules(lambda record, subscription, now: {})
    for step, record in enumerate(corpus()[:4]):
        now = NOW + timedelta(hours=3 * step)
        at = now - timedelta(minutes=1 if step != 2 else 90)
        mention = replace(record.mention, published_at=at, received_at=now, version=to_ms(at), own=False, history=False)
        await fresh.save(Batch("s", Page(), (Record(mention),), now, "off"), rules)
    assert len(await fresh.alerts("recent")) == 3
    assert len(await fresh.alerts("steady")) == 4


@pytest.mark.parametrize("sort", ["-date", "date", "-received", "rating", "-followers"])
async def test_pages_neither_skip_nor_repeat_while_mentions_come_change_and_go(
    fresh: EmbeddedEngine, sort: str
) -> None:
    records = corpus()
    now = datetime.now(UTC)
    staying, coming = records[:100], records[100:]
    await fresh.save(Batch("s", Page(), tuple(staying), now, "off"))
    ids: list[str] = []
    token, step = None, 0
    while True:
        hits = await fresh.search(Search("*", sort=sort, size=9, page=token), now)
        ids += [hit.record.mention.id for hit in hits.hits]
        token = hits.next
        if token is None:
            break
        late = [
            replace(r, mention=replace(r.mention, received_at=now + timedelta(hours=1)))
            for r in coming[step : step + 4]
        ]
        await fresh.save(Batch("s", Page(), tuple(late), now, "off"))
        step += 4
    assert len(ids) == len(set(ids))
    assert set(ids) == {r.mention.id for r in staying}


async def test_a_damaged_or_foreign_page_token_is_refused(fresh: EmbeddedEngine) -> None:
    await fresh.save(Batch("s", Page(), tuple(corpus()[:30]), NOW, "off"))
    token = (await fresh.search(Search("*", size=5), NOW)).next
    assert token is not None
    for search in (
        Search("*", size=5, page=token[:-3]),
        Search("late", size=5, page=token),
        Search("*", size=5, page="%%"),
    ):
        with pytest.raises(InputError, match="page token"):
            await fresh.search(search, NOW)


async def test_unknown_sorts_modes_facets_and_sizes_are_named(fresh: EmbeddedEngine) -> None:
    for search in (Search(sort="colour"), Search(mode="magic"), Search(size=0), Search(mode="meaning")):
        with pytest.raises(InputError):
            await fresh.search(search, NOW)
    with pytest.raises(InputError, match="colour"):
        await fresh.facets("*", ["colour"], NOW)


async def test_sql_and_full_text_syntax_in_a_query_are_only_words(fresh: EmbeddedEngine) -> None:
    records = corpus()[:20]
    await fresh.save(Batch("s", Page(), tuple(records), NOW, "off"))
    for query in (
        "'; DROP TABLE mention; --", '"a" NEAR "b"', "text_stem", "title_stem:x", "col : x", "^late", "late^",
        "{text} late",
        'brand:"\' OR 1=1"', "author:\"x') OR 1=1 --\"", "late\x00", "NEAR(a b, 3)", 'late" OR "x',
    ):  # fmt: skip
        try:
            await fresh.search(Search(query), NOW)
        except (QueryError, InputError):
            continue
    assert (await fresh.search(Search("*"), NOW)).total == 20

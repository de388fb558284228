"""No record, connector or store away for a while stops a source for good, or the service with it."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

from connectors.base import SourceConfig
from index.contract import Search, Subscription
from index.embedded.engine import EmbeddedEngine
from listener.alerts import AlertRules
from listener.backlog import Backlog
from listener.errors import TemporaryError
from listener.ingest import LONGEST_TEXT, Brands, Ingest
from listener.metrics import Metrics
from listener.model import Analysis, Author, Mention, Page, Verbatim, mention_id, to_ms
from listener.pipeline import Source, Worker
from nlp.batching import Batcher
from nlp.fake import RuleClassifier

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def mention(native: str, text: str = "the delivery was late", **more: Any) -> Mention:
    made = Mention(mention_id("t", native), native, "t", "review", "web", text, NOW, NOW, to_ms(NOW), rating=1.0)
    return replace(made, **more)


class Scripted:
    """A connector that hands on prepared pages; an error among them is raised, once."""

    Config, push, live = SourceConfig, False, True

    def __init__(self, *script: Page | BaseException) -> None:
        self.script = list(script)

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        for place in range(int(cursor or 0), len(self.script)):
            item = self.script[place]
            if isinstance(item, BaseException):
                self.script[place] = Page()
                raise item
            yield replace(item, cursor=str(place + 1))

    async def close(self) -> None:
        """Nothing is open."""


class Plain(Scripted):
    """The same with an iterator that is no generator: it has no aclose()."""

    def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        generator = super().pages(cursor)

        class Iterator:
            def __aiter__(self) -> "Iterator":
                return self

            async def __anext__(self) -> Page:
                return await anext(generator)

        return Iterator()


class Odd(RuleClassifier):
    """A classifier whose answer for texts with `poison` no store takes."""

    def analyse(self, verbatims: Sequence[Verbatim]) -> list[Analysis | Exception]:
        return [
            replace(outcome, vector=b"short") if isinstance(outcome, Analysis) and "poison" in text.text else outcome
            for text, outcome in zip(verbatims, super().analyse(verbatims), strict=True)
        ]


class Slow(RuleClassifier):
    """A classifier that takes its time."""

    def analyse(self, verbatims: Sequence[Verbatim]) -> list[Analysis | Exception]:
        time.sleep(1.0)
        return super().analyse(verbatims)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EmbeddedEngine]:
    opened = EmbeddedEngine(tmp_path / "store.db")
    await opened.open()
    await opened.put_subscription(Subscription("bad", "rating:1", NOW))
    yield opened
    await opened.close()


def ingest_of(engine: EmbeddedEngine, batcher: Batcher, **more: Any) -> Ingest:
    return Ingest(
        engine, batcher, AlertRules(), Brands({"Acme": ["acme"]}), Metrics(), lambda: NOW, timedelta(hours=24), **more
    )


def worker_of(connector: Any, ingest: Ingest, **more: Any) -> Worker:
    config = SourceConfig(connector="scripted", every=timedelta(milliseconds=50))
    return Worker(Source("t", config, connector), ingest, **more)


async def natives(engine: EmbeddedEngine, query: str = "*") -> list[str]:
    hits = await engine.search(Search(query, size=100), NOW)
    return sorted(hit.record.mention.native_id for hit in hits.hits)


UNSTORABLE: dict[str, dict[str, Any]] = {
    "a number no store holds": {"author": Author("x", followers=10**30)},
    "half a character in a name": {"author": Author("x\ud800")},
    "half a character in a brand": {"brand": "x\ud800"},
    "an edit time beyond all times": {"version": 10**30},
    "a time without a zone": {"published_at": datetime(2026, 1, 1)},
    "no text at all": {"text": None},
    "an id that is not hex": {"id": "not hex"},
    "an id of another length": {"id": "ab"},
    "a text without end": {"text": "long " * (LONGEST_TEXT // 5 + 1)},
}


@pytest.mark.parametrize("fields", UNSTORABLE.values(), ids=UNSTORABLE.keys())
async def test_a_mention_that_cannot_be_stored_is_a_dead_letter_and_its_page_goes_on(
    engine: EmbeddedEngine, fields: dict[str, Any]
) -> None:
    pages = [Page((mention("a"), replace(mention("bad"), **fields), mention("b"))), Page((mention("c"),))]
    async with Batcher(RuleClassifier()) as batcher:
        await worker_of(Scripted(*pages), ingest_of(engine, batcher), once=True).run()
    assert await natives(engine) == ["a", "b", "c"]
    assert len(await engine.alerts()) == 3
    (letter,) = await engine.dead_letters()
    assert b"bad" in letter.raw
    assert letter.where == "mention 'bad'"
    assert await engine.cursor("t") == "2"
    state = (await engine.source_states())["t"]
    assert (state.mentions, state.rejects, state.state) == (3, 1, "done")


async def test_a_dead_letter_keeps_no_words_where_the_place_forbids_it(engine: EmbeddedEngine) -> None:
    config = SourceConfig.model_validate({"connector": "scripted", "terms": {"may_store_text": False}})
    async with Batcher(RuleClassifier()) as batcher:
        page = Page((mention("bad", "secretword", version=10**30), mention("worse", "secretword", id="no")))
        saved = await ingest_of(engine, batcher).page("t", config, page, live=True)
    assert saved.rejected == 2
    assert [letter.raw for letter in await engine.dead_letters()] == [b"", b""]


async def test_where_every_record_of_a_long_page_fails_the_page_is_kept_and_tried_again(
    engine: EmbeddedEngine,
) -> None:
    page = Page(tuple(mention(str(n), version=10**30) for n in range(20)), cursor="1")
    async with Batcher(RuleClassifier()) as batcher:
        with pytest.raises(OverflowError):
            await ingest_of(engine, batcher).page("t", None, page, live=True)
    assert await engine.cursor("t") is None
    assert await engine.dead_letters() == []


async def test_a_mention_whose_analysis_cannot_be_stored_is_stored_without(engine: EmbeddedEngine) -> None:
    async with Batcher(Odd()) as batcher:
        ingest = ingest_of(engine, batcher)
        saved = await ingest.page("t", None, Page((mention("a"), mention("b", "poison"))), live=True)
        assert (saved.new, saved.known, saved.rejected, saved.alerts) == (2, 0, 0, 2)
        assert await natives(engine) == ["a", "b"]
        assert await natives(engine, "is:unanalysed") == ["b"]
        late = NOW + timedelta(days=1)
        assert await Backlog(ingest).step(late) == 1
        assert await natives(engine, "is:unanalysed") == ["b"]
        assert await engine.waiting(9, NOW) == []  # tried again later, not at once and for ever
    assert (await engine.status()).failed == 1


@pytest.mark.parametrize("strange", [asyncio.CancelledError(), GeneratorExit(), SystemExit(3), StopIteration()])
async def test_whatever_a_connector_raises_is_a_failed_look_and_what_it_read_is_stored(
    engine: EmbeddedEngine, strange: BaseException
) -> None:
    async with Batcher(RuleClassifier()) as batcher:
        connector, ingest = Scripted(Page((mention("a"),)), strange, Page((mention("b"),))), ingest_of(engine, batcher)
        with pytest.raises(RuntimeError):
            await worker_of(connector, ingest, once=True).run()
        assert await natives(engine) == ["a"]
        await worker_of(connector, ingest, once=True).run()
    assert await natives(engine) == ["a", "b"]


async def test_an_iterator_that_cannot_be_closed_is_read_like_any_other(engine: EmbeddedEngine) -> None:
    async with Batcher(RuleClassifier()) as batcher:
        connector = Plain(Page((mention("a"),)), Page((mention("b"),)))
        await worker_of(connector, ingest_of(engine, batcher), once=True).run()
    assert await natives(engine) == ["a", "b"]


async def until_stored(engine: EmbeddedEngine, wanted: list[str]) -> None:
    async with asyncio.timeout(30):
        while await natives(engine) != wanted:
            await asyncio.sleep(0.05)


async def test_a_worker_cancelled_over_a_full_queue_ends_at_once(engine: EmbeddedEngine) -> None:
    pages = [Page((mention(str(number)),)) for number in range(50)]
    async with Batcher(Slow()) as batcher:
        working = asyncio.create_task(worker_of(Scripted(*pages), ingest_of(engine, batcher), queue=2).run())
        await asyncio.sleep(0.5)  # the first page is being analysed, two wait, the reader holds one more
        working.cancel()
        done, _ = await asyncio.wait([working], timeout=5)
        assert done


async def test_a_source_that_fails_while_the_store_takes_no_writes_goes_on_and_keeps_its_gap(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    busy = apsw.Connection(str(tmp_path / "store.db"))
    async with Batcher(RuleClassifier()) as batcher:
        connector = Scripted(TemporaryError("429", 0.01), TemporaryError("429", 0.01), Page((mention("a"),)))
        worker = worker_of(connector, ingest_of(engine, batcher))
        await engine.put_setting("warm", "1")  # the writer's connection is there
        await engine._db.outside(lambda connection: connection.set_busy_timeout(100))
        busy.execute("BEGIN IMMEDIATE")
        working = asyncio.create_task(worker.run())
        await asyncio.sleep(1.5)
        assert not working.done()
        busy.execute("ROLLBACK")
        await until_stored(engine, ["a"])
        async with asyncio.timeout(10):
            while not (gaps := await engine.gaps("t")) or gaps[0].end is None:
                await asyncio.sleep(0.05)
        worker.stop()
        await working
    busy.close()
    assert [gap.reason for gap in gaps] == ["outage or rate limit: 429"]

"""What the pipeline promises: nothing lost, nothing twice, no source stopped by another or by one bad record."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import pytest

from connectors.base import SourceConfig
from index.contract import Search, Subscription
from index.embedded.engine import EmbeddedEngine
from listener.alerts import AlertRules
from listener.backlog import Backlog
from listener.errors import PermanentError, TemporaryError
from listener.ingest import Brands, Ingest
from listener.metrics import Metrics
from listener.model import Analysis, Author, Deletion, Mention, Page, Reject, Verbatim, mention_id, to_ms
from listener.pipeline import Source, Worker, backoff
from nlp.batching import Batcher
from nlp.fake import RuleClassifier

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def mention(native: str, text: str = "the delivery was late", age: timedelta = timedelta(0), **more: object) -> Mention:
    """A mention received now and published `age` ago."""
    at = NOW - age
    fields = {"rating": None, "version": to_ms(at), **more}
    return Mention(mention_id("t", native), native, "t", "review", "web", text, at, NOW, **fields)  # type: ignore[arg-type]


class Scripted:
    """A connector that hands on prepared pages; an error among them is raised, once."""

    Config: ClassVar[type[SourceConfig]] = SourceConfig
    push: ClassVar[bool] = False
    live: ClassVar[bool] = True

    def __init__(self, script: Sequence[Page | Exception]) -> None:
        self.script = list(script)
        self.handed = 0
        self.closed = False

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        for place in range(int(cursor or 0), len(self.script)):
            item = self.script[place]
            if isinstance(item, Exception):
                self.script[place] = Page()
                raise item
            self.handed += 1
            yield replace(item, cursor=str(place + 1))

    async def close(self) -> None:
        self.closed = True


class Failing(RuleClassifier):
    """A classifier that cannot read texts with the word `poison`, until told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.healthy = False

    def analyse(self, verbatims: Sequence[Verbatim]) -> list[Analysis | Exception]:
        return [
            ValueError("cannot read this") if "poison" in text.text and not self.healthy else outcome
            for text, outcome in zip(verbatims, super().analyse(verbatims), strict=True)
        ]


@asynccontextmanager
async def ingesting(tmp_path: Path, classifier: RuleClassifier | None = None, **more: object) -> AsyncIterator[Ingest]:
    """An ingest into a new store with one subscription on low ratings or negative texts."""
    engine = EmbeddedEngine(tmp_path / "store.db")
    await engine.open()
    await engine.put_subscription(Subscription("bad", "-is:own (rating:[1 TO 2] OR overall:negative)", NOW))
    rules = AlertRules()
    async with Batcher(classifier or RuleClassifier()) as batcher:
        yield Ingest(
            engine, batcher, rules, Brands({"Acme": ["acme"]}), Metrics(), lambda: NOW, timedelta(hours=24), **more,  # type: ignore[arg-type]
        )  # fmt: skip
    await engine.close()


async def run(ingest: Ingest, connector: Scripted, name: str = "t") -> None:
    """Run a source once through."""
    config = SourceConfig(connector="scripted")
    await Worker(Source(name, config, connector), ingest, once=True).run()  # type: ignore[arg-type]


async def natives(ingest: Ingest, query: str = "*") -> list[str]:
    """The native ids a query finds."""
    hits = await ingest.engine.search(Search(query, size=1000), NOW)
    return sorted(hit.record.mention.native_id for hit in hits.hits)


async def test_a_bad_record_is_kept_with_its_bytes_and_the_source_goes_on(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        pages = [Page((mention("a"),), rejects=(Reject(b"\xff{", "not JSON", "line 2"),)), Page((mention("b"),))]
        await run(ingest, Scripted(pages))
        assert await natives(ingest) == ["a", "b"]
        (letter,) = await ingest.engine.dead_letters()
        assert (letter.raw, letter.where, letter.source) == (b"\xff{", "line 2", "t")


async def test_a_breath_after_each_page_leaves_the_store_to_others(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        stored: list[float] = []
        source = Source("t", SourceConfig(connector="scripted"), Scripted([Page((mention(n),)) for n in "abc"]))
        await Worker(
            source, ingest, once=True, breath=0.2, on_saved=lambda page, saved: stored.append(time.monotonic())
        ).run()
        assert len(stored) == 3
        assert all(later - earlier >= 0.2 for earlier, later in pairwise(stored))


async def test_a_temporary_failure_is_tried_again_and_stands_in_the_gap_ledger(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        await run(ingest, Scripted([Page((mention("a"),)), TemporaryError("429", 0.01), Page((mention("b"),))]))
        assert await natives(ingest) == ["a", "b"]
        (gap,) = await ingest.engine.gaps("t")
        assert gap.end is not None
        assert "429" in gap.reason


async def test_pages_read_before_a_failure_are_stored(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        connector = Scripted([Page((mention("a"),)), Page((mention("b"),)), PermanentError("gone")])
        with pytest.raises(PermanentError):
            await run(ingest, connector)
        assert await natives(ingest) == ["a", "b"]
        assert await ingest.engine.cursor("t") == "2"


async def test_a_quarantined_source_waits_for_a_person_and_others_go_on(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        bad = Scripted([PermanentError("401: the key was revoked"), Page((mention("later"),))])
        config = SourceConfig(connector="scripted")
        worker = Worker(Source("bad", config, bad), ingest)  # type: ignore[arg-type]
        task = asyncio.create_task(worker.run())
        await run(ingest, Scripted([Page((mention("other"),))]), "good")
        await until(lambda: _state(ingest, "bad"), "quarantined")
        assert await natives(ingest) == ["other"]
        await ingest.engine.reset_source("bad")
        await until(lambda: natives(ingest), ["later", "other"], seconds=20)
        worker.stop()
        await task


async def _state(ingest: Ingest, source: str) -> str:
    states = await ingest.engine.source_states()
    return states[source].state if source in states else "none"


async def until(look: Callable[[], object], wanted: object, seconds: float = 10) -> None:
    """Wait until what is looked at is as wanted."""
    async with asyncio.timeout(seconds):
        while await look() != wanted:  # type: ignore[misc]
            await asyncio.sleep(0.02)


async def test_reading_stays_at_most_a_queue_ahead_of_storing(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        connector = Scripted([Page((mention(str(n)),)) for n in range(50)])
        ahead = []

        def note(page: Page, saved: object) -> None:
            ahead.append(connector.handed - len(ahead))

        config = SourceConfig(connector="scripted")
        await Worker(Source("t", config, connector), ingest, queue=2, once=True, on_saved=note).run()  # type: ignore[arg-type]
        assert len(ahead) == 50
        assert max(ahead) <= 2 + 2  # in the queue, in the reader's hand, in the storing hand


async def test_stopping_keeps_the_page_in_hand_and_its_cursor_together(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        connector = Scripted([Page((mention(str(n)),)) for n in range(400)])
        config = SourceConfig(connector="scripted")
        worker = Worker(Source("t", config, connector), ingest)  # type: ignore[arg-type]
        task = asyncio.create_task(worker.run())
        await asyncio.sleep(0.3)
        worker.stop()
        await task
        stored = len(await natives(ingest))
        assert await ingest.engine.cursor("t") == (str(stored) if stored else None)
        await run(ingest, connector)
        assert len(await natives(ingest)) == 400


async def test_known_versions_are_not_analysed_again(tmp_path: Path) -> None:
    class Counting(RuleClassifier):
        seen = 0

        def analyse(self, verbatims: Sequence[Verbatim]) -> list[Analysis | Exception]:
            Counting.seen += len(verbatims)
            return super().analyse(verbatims)

    async with ingesting(tmp_path, Counting()) as ingest:
        page = Page(tuple(mention(str(n)) for n in range(20)))
        await run(ingest, Scripted([page]))
        await ingest.page("t", None, page, live=True)
        assert Counting.seen == 20
        assert len(await natives(ingest)) == 20


async def test_an_edit_is_a_new_version_and_alerts_only_when_it_begins_to_match(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        first = mention("a", "the parcel is here", rating=5.0)
        worse = replace(first, text="the parcel is broken", rating=1.0, version=first.version + 1)
        again = replace(worse, text="the parcel is still broken", version=first.version + 2)
        for version, alerts in ((first, 0), (worse, 1), (again, 1), (first, 1)):
            await ingest.page("t", None, Page((version,)), live=True)
            assert len(await ingest.engine.alerts()) == alerts
        assert (await ingest.engine.get(first.id)).mention.text == "the parcel is still broken"
        assert [r.mention.text for r in await ingest.engine.versions(first.id)] == [first.text, worse.text]
        assert await natives(ingest, "is:edited") == ["a"]


async def test_a_deletion_takes_the_text_and_an_older_copy_does_not_bring_it_back(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        gone = mention("a", "secretword", rating=1.0)
        await ingest.page("t", None, Page((gone,)), live=True)
        await ingest.page("t", None, Page(deletions=(Deletion(gone.id, NOW),)), live=True)
        await ingest.page("t", None, Page((gone,)), live=True)
        assert await natives(ingest, "secretword") == []
        assert await natives(ingest) == []


async def test_a_mention_that_cannot_be_analysed_is_stored_found_retried_and_then_matched(tmp_path: Path) -> None:
    classifier = Failing()
    async with ingesting(tmp_path, classifier) as ingest:
        await run(ingest, Scripted([Page((mention("a"), mention("b", "poison: terrible and broken")))]))
        assert await natives(ingest, "is:unanalysed") == ["b"]
        before = {item.evidence[0].mention_id for item in await ingest.engine.alerts()}
        assert mention_id("t", "b") not in before
        backlog = Backlog(ingest)
        assert await backlog.step(NOW) == 0  # not due yet
        classifier.healthy = True
        assert await backlog.step(NOW + timedelta(hours=1)) == 1
        assert await natives(ingest, "is:unanalysed") == []
        after = {item.evidence[0].mention_id for item in await ingest.engine.alerts()}
        assert mention_id("t", "b") in after


async def test_failed_tries_grow_apart(tmp_path: Path) -> None:
    async with ingesting(tmp_path, Failing()) as ingest:
        clock = [NOW]
        ingest = replace(ingest, now=lambda: clock[0])
        await run(ingest, Scripted([Page((mention("b", "poison"),))]))
        waits = []
        for _ in range(4):
            start = clock[0]
            while not await Backlog(ingest).step(clock[0]):
                clock[0] += timedelta(seconds=10)
            waits.append(clock[0] - start)
        assert [later > earlier for earlier, later in pairwise(waits[1:])] == [True, True]
        assert await natives(ingest, "is:unanalysed") == ["b"]


async def test_history_is_counted_and_never_alerted_unless_treated_as_live(tmp_path: Path) -> None:
    old = mention("old", age=timedelta(days=3), rating=1.0)
    async with ingesting(tmp_path) as ingest:
        await run(ingest, Scripted([Page((old, mention("new", rating=1.0)))]))
        assert [item.evidence[0].mention_id for item in await ingest.engine.alerts()] == [mention_id("t", "new")]
        assert (await ingest.engine.counts("bad"))["history"] == 1
    (tmp_path / "other").mkdir()
    async with ingesting(tmp_path / "other", treat_as_live=True) as ingest:
        await run(ingest, Scripted([Page((old,))]))
        assert len(await ingest.engine.alerts()) == 1


async def test_an_uncertain_label_does_not_alert_but_a_rating_beside_it_does(tmp_path: Path) -> None:
    class Unsure(RuleClassifier):
        def analyse(self, verbatims: Sequence[Verbatim]) -> list[Analysis | Exception]:
            return [
                replace(outcome, uncertain=True) if isinstance(outcome, Analysis) else outcome
                for outcome in super().analyse(verbatims)
            ]

    async with ingesting(tmp_path, Unsure()) as ingest:
        pages = [Page((mention("label", "terrible, broken, lost"), mention("rated", "terrible", rating=1.0)))]
        await run(ingest, Scripted(pages))
        assert await natives(ingest, "overall:negative") == ["label", "rated"]
        assert [item.evidence[0].mention_id for item in await ingest.engine.alerts()] == [mention_id("t", "rated")]
        assert (await ingest.engine.counts("bad"))["uncertain"] == 1


async def test_own_accounts_never_alert(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        ours = mention("ours", "sorry for the terrible delay", rating=1.0, own=True, author=Author("acme"))
        await run(ingest, Scripted([Page((ours,))]))
        assert await ingest.engine.alerts() == []
        assert await natives(ingest, "is:own") == ["ours"]


async def test_a_brand_named_in_the_text_is_found_where_the_source_names_none(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        pages = [Page((mention("a", "my ACME lamp"), mention("b", "acmeology"), mention("c", "acme", brand="Other")))]
        await run(ingest, Scripted(pages))
        assert await natives(ingest, "brand:Acme") == ["a"]
        assert await natives(ingest, "brand:Other") == ["c"]


async def test_terms_that_forbid_the_words_keep_labels_without_them(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        config = SourceConfig.model_validate({"connector": "scripted", "terms": {"may_store_text": False}})
        await ingest.page("t", config, Page((mention("a", "terrible secretword"),)), live=True)
        (record,) = [r async for r in ingest.engine.export("overall:negative", NOW)]
        assert record.mention.text == ""
        assert b"secretword" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_the_pause_after_a_failure_grows_up_to_a_bound_and_keeps_to_what_was_asked() -> None:
    assert 60 <= backoff(0, 60.0) <= 61
    longest = [backoff(attempt, draw=lambda: 1.0) for attempt in range(40)]
    assert longest == sorted(longest)
    assert longest[0] == 1.0
    assert longest[-1] == 900.0
    assert backoff(5, draw=lambda: 0.0) < 1.0

"""A rehearsal says what the engine would have done, had the mentions come one by one when they were published."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from index.contract import Batch, Subscription
from index.embedded.engine import EmbeddedEngine
from listener.alerts import AlertRules
from listener.model import Author, Mention, Page, Record, Verbatim, mention_id, to_ms
from listener.rehearsal import rehearse
from nlp.fake import RuleClassifier

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
TEXTS = ("parcel late", "late again", "great service", "the parcel", "the delivery? late", "shop")
QUERIES = (
    "late", "late OR sentiment:neutral", "brand:Acme (late OR step:reception)", "step:reception -sentiment:positive",
)  # fmt: skip
COOLDOWNS = (timedelta(0), timedelta(hours=6), timedelta(days=3))


def written(draw: random.Random, number: int) -> list[Record]:
    """Mentions of the last 29 days, oldest first."""
    ages = sorted((draw.uniform(0.001, 29) for _ in range(number)), reverse=True)
    records = []
    for place, age in enumerate(ages):
        at = NOW - timedelta(days=age)
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)  # as it is stored
        text, brand = draw.choice(TEXTS), draw.choice(("Acme", "Other", None))
        key = mention_id("t", str(place))
        author = Author(handle=draw.choice("abc"))
        mention = Mention(
            key, str(place), "t", "post", "x", text, at, at, to_ms(at), brand=brand, author=author,
            own=draw.random() < 0.1,
        )  # fmt: skip
        (analysis,) = RuleClassifier().analyse([Verbatim(text)])
        assert not isinstance(analysis, Exception)
        records.append(Record(mention, analysis))
    return records


@pytest.mark.parametrize("seed", range(8))
async def test_it_fires_as_often_and_with_the_same_mentions_as_the_engine(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    subscription = Subscription(
        "s", draw.choice(QUERIES), NOW, cooldown=COOLDOWNS[seed % 3], group_by=draw.choice((None, "brand", "author"))
    )
    engine = EmbeddedEngine(tmp_path / "store.db")
    await engine.open()
    try:
        await engine.put_subscription(subscription)
        for record in written(draw, 80):
            at = record.mention.published_at
            await engine.save(Batch("t", Page(mentions=(record.mention,)), (record,), at), AlertRules())
        alerts = await engine.alerts(limit=1000)
        counts = await engine.counts("s")
        told = await rehearse(engine, subscription, NOW)
    finally:
        await engine.close()
    assert told.fired == len(alerts) > 3
    assert (told.uncertain, told.own) == (counts.get("uncertain", 0), counts.get("own", 0))
    assert sum(n for _, n in told.weeks) == told.fired
    newest = sorted(((a.created_at, [e.mention_id for e in a.evidence]) for a in alerts), reverse=True)[:3]
    assert [(fired.at, list(fired.mentions)) for fired in told.latest] == newest


async def test_what_is_older_than_the_period_or_still_to_come_does_not_count(tmp_path: Path) -> None:
    engine = EmbeddedEngine(tmp_path / "store.db")
    await engine.open()
    try:
        for name, age in (("old", 31), ("in", 29), ("future", -1)):
            at = NOW - timedelta(days=age)
            mention = Mention(mention_id("t", name), name, "t", "post", "x", "late", at, at, to_ms(at))
            await engine.save(Batch("t", Page(mentions=(mention,)), (Record(mention),), NOW))
        told = await rehearse(engine, Subscription("s", "late OR parcel", NOW), NOW)
    finally:
        await engine.close()
    assert (told.matches, told.fired) == (1, 1)
    assert [item.mentions for item in told.latest] == [(mention_id("t", "in"),)]

"""What every engine keeps beside mentions: one suite, written against `index.engine.Engine` alone."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from index.contract import (
    Alert,
    ApiKey,
    Batch,
    Case,
    Change,
    Correction,
    Delivery,
    Evidence,
    Group,
    Plan,
    Saved,
    SourceState,
    Subscription,
)
from index.engine import Engine
from listener.errors import ConflictError, InputError, NotFoundError, Overloaded, QueryError
from listener.model import Author, Deletion, Gap, Mention, Page, Record, Reject, mention_id, to_ms

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
INBOX_LIMIT = 3
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def embedded(folder: Path) -> Engine:
    """The engine in one SQLite file."""
    from index.embedded.engine import EmbeddedEngine

    return EmbeddedEngine(folder / "store.db", inbox_limit=INBOX_LIMIT)


ENGINES: Mapping[str, Callable[[Path], Engine]] = {"embedded": embedded}


@pytest.fixture(params=sorted(ENGINES))
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    opened = ENGINES[request.param](tmp_path)
    await opened.open()
    yield opened
    await opened.close()


def mention(number: int, **fields: Any) -> Mention:
    """A mention published `number` minutes before NOW."""
    published = NOW - number * MINUTE
    plain: dict[str, Any] = {
        "id": mention_id("test", str(number)), "native_id": str(number), "source": "shop", "kind": "review",
        "channel": "site", "text": f"parcel {number} came late", "published_at": published, "received_at": NOW,
        "version": to_ms(published),
    }  # fmt: skip
    return Mention(**{**plain, **fields})


def by(handle: str, number: int, id: str | None = None, **fields: Any) -> Mention:
    return mention(number, author=Author(handle=handle, id=id), **fields)


class Scripted:
    """Rules that ask for one group and answer with a plan made beforehand."""

    def __init__(self, plan: Plan, group: tuple[str, str] = ("late", "")) -> None:
        self.answer, self.group = plan, group
        self.seen: Mapping[tuple[str, str], Group] = {}

    def groups(self, changes: Sequence[Change], subscriptions: Mapping[str, Subscription]) -> set[tuple[str, str]]:
        return {self.group}

    def plan(
        self,
        changes: Sequence[Change],
        subscriptions: Mapping[str, Subscription],
        groups: Mapping[tuple[str, str], Group],
        now: datetime,
    ) -> Plan:
        self.seen = dict(groups)
        return self.answer


async def save(
    engine: Engine, *mentions: Mention, source: str = "shop", rules: Scripted | None = None, now: datetime = NOW,
    **page: Any,
) -> Saved:  # fmt: skip
    records = tuple(Record(item) for item in mentions)
    return await engine.save(Batch(source, Page(mentions, **page), records, now, "off"), rules)


def evidence(of: Mention, **data: Any) -> Evidence:
    return Evidence(of.id, of.version, NOW, data or {"text": of.text})


def alert(id: str, *mentions: Mention, created: datetime = NOW, due: datetime | None = None, **fields: Any) -> Alert:
    plain: dict[str, Any] = {"subscription": "late", "group": "", "destinations": ("console",), **fields}
    return Alert(
        id=id, created_at=created, due_at=due or created, evidence=tuple(evidence(item) for item in mentions), **plain
    )


async def subscribe(engine: Engine, id: str = "late", query: str = "*") -> None:
    await engine.put_subscription(Subscription(id, query, NOW))


# --- sources --------------------------------------------------------------------------------------


async def test_the_cursor_is_stored_with_its_page_and_kept_by_a_page_without_one(engine: Engine) -> None:
    assert await engine.cursor("shop") is None
    await save(engine, mention(1), cursor="after 1")
    await save(engine, mention(2), cursor=None)
    assert await engine.cursor("shop") == "after 1"
    assert await engine.cursor("other") is None


async def test_a_page_that_fails_leaves_nothing_behind(engine: Engine) -> None:
    class Broken(Scripted):
        def plan(self, *args: Any) -> Plan:
            raise InputError("a rule failed")

    await subscribe(engine)
    one = mention(1)
    with pytest.raises(InputError):
        await save(engine, one, rules=Broken(Plan()), cursor="after 1", rejects=(Reject(b"x", "no json"),))
    assert await engine.cursor("shop") is None
    assert await engine.dead_letters() == []
    assert await engine.known([(one.id, one.version)]) == set()


async def test_a_reject_becomes_one_dead_letter_however_often_its_page_repeats(engine: Engine) -> None:
    reject = Reject(b'{"broken\xff', "no json", "line 7")
    assert (await save(engine, rejects=(reject,))).rejected == 1
    assert (await save(engine, rejects=(reject,))).rejected == 0
    [letter] = await engine.dead_letters()
    assert (letter.source, letter.where, letter.reason, letter.raw) == ("shop", "line 7", "no json", reject.raw)
    assert letter.at == NOW
    assert (await engine.source_states())["shop"].rejects == 1


async def test_equal_bytes_at_another_place_or_source_are_another_dead_letter(engine: Engine) -> None:
    await save(engine, rejects=(Reject(b"x", "bad", "line 1"), Reject(b"x", "bad", "line 2")))
    await save(engine, source="forum", rejects=(Reject(b"x", "bad", "line 1"),))
    assert [(letter.source, letter.where) for letter in await engine.dead_letters()] == [
        ("shop", "line 1"), ("shop", "line 2"), ("forum", "line 1"),
    ]  # fmt: skip
    assert [letter.source for letter in await engine.dead_letters("forum")] == ["forum"]
    assert len(await engine.dead_letters(limit=2)) == 2


async def test_a_replayed_dead_letter_drops_its_bytes_and_never_comes_back(engine: Engine) -> None:
    reject = Reject(b"secret", "bad", "line 1")
    await save(engine, rejects=(reject,))
    [letter] = await engine.dead_letters()
    await engine.dead_letter_replayed(letter.id, NOW + MINUTE)
    assert (await save(engine, rejects=(reject,))).rejected == 0
    assert await engine.dead_letters() == []
    [replayed] = await engine.dead_letters(all=True)
    assert (replayed.raw, replayed.replayed_at) == (b"", NOW + MINUTE)
    with pytest.raises(NotFoundError):
        await engine.dead_letter_replayed(letter.id + 1, NOW)


async def test_a_gap_of_a_repeated_page_is_in_the_ledger_once(engine: Engine) -> None:
    gap = Gap("shop", NOW - DAY, NOW, "outage")
    await save(engine, gaps=(gap,))
    await save(engine, gaps=(gap,))
    await save(engine, gaps=(replace(gap, reason="rate limit"),))
    found = await engine.gaps()
    assert sorted(item.reason for item in found) == ["outage", "rate limit"]
    assert {(item.start, item.end) for item in found} == {(NOW - DAY, NOW)}


async def test_an_open_gap_is_closed_by_id_or_by_the_page_that_knows_its_end(engine: Engine) -> None:
    first = await engine.add_gap(Gap("shop", NOW - DAY, None, "outage"))
    assert await engine.add_gap(Gap("shop", NOW - DAY, None, "outage")) == first
    second = await engine.add_gap(Gap("forum", NOW, None, "outage"))
    assert [gap.id for gap in await engine.gaps()] == [second, first]
    await engine.close_gap(second, NOW + DAY)
    await save(engine, gaps=(Gap("shop", NOW - DAY, NOW, "outage"),))
    assert [(gap.id, gap.end) for gap in await engine.gaps("shop")] == [(first, NOW)]
    assert [(gap.id, gap.end) for gap in await engine.gaps("forum")] == [(second, NOW + DAY)]
    with pytest.raises(NotFoundError):
        await engine.close_gap(second + 100, NOW)


async def test_a_push_stays_in_the_inbox_until_a_page_settles_it(engine: Engine) -> None:
    assert await engine.inbox_put("hook", "e1", b"one", NOW)
    assert await engine.inbox_put("hook", "e2", b"two", NOW + MINUTE)
    assert await engine.inbox_put("other", "e1", b"three", NOW)
    taken = await engine.inbox_take("hook", 10)
    assert [item[1:] for item in taken] == [("e1", b"one", NOW), ("e2", b"two", NOW + MINUTE)]
    assert await engine.inbox_take("hook", 1) == taken[:1]
    await save(engine, mention(1), source="hook", inbox=(taken[0][0],))
    assert await engine.inbox_take("hook", 10) == taken[1:]


async def test_a_settled_push_that_comes_again_within_a_week_is_known(engine: Engine) -> None:
    assert await engine.inbox_put("hook", "e1", b"one", NOW)
    ((entry, *_),) = await engine.inbox_take("hook", 10)
    await save(engine, mention(1), source="hook", inbox=(entry,))
    assert not await engine.inbox_put("hook", "e1", b"one", NOW + DAY)
    assert await engine.inbox_put("other", "e1", b"one", NOW + DAY)
    ((other, *_),) = await engine.inbox_take("other", 10)
    later = Batch("other", Page(inbox=(other,)), (), NOW + 8 * DAY)
    await engine.save(later)
    assert await engine.inbox_put("hook", "e1", b"one", NOW + 8 * DAY)


async def test_the_same_event_is_kept_once(engine: Engine) -> None:
    assert await engine.inbox_put("hook", "e1", b"one", NOW)
    assert not await engine.inbox_put("hook", "e1", b"one again", NOW)
    assert [body for _, _, body, _ in await engine.inbox_take("hook", 10)] == [b"one"]


async def test_a_full_inbox_refuses_what_is_new_and_only_that(engine: Engine) -> None:
    for number in range(INBOX_LIMIT):
        await engine.inbox_put("hook", f"e{number}", b"x", NOW)
    with pytest.raises(Overloaded) as refusal:
        await engine.inbox_put("hook", "one more", b"x", NOW)
    assert refusal.value.retry_after == 5
    assert not await engine.inbox_put("hook", "e0", b"x", NOW)
    middle = (await engine.inbox_take("hook", 10))[1][0]
    await save(engine, source="hook", inbox=(middle,))
    assert await engine.inbox_put("hook", "one more", b"x", NOW)
    with pytest.raises(Overloaded):
        await engine.inbox_put("hook", "and another", b"x", NOW)
    assert await engine.inbox_put("other", "e1", b"x", NOW)  # one source that waits for a person holds up no other


async def test_a_sources_counts_come_from_its_pages_and_its_state_from_the_service(engine: Engine) -> None:
    await save(engine, mention(5), mention(3), rejects=(Reject(b"x", "bad"),))
    await save(engine, mention(9), now=NOW + MINUTE)
    await engine.put_source_state(SourceState("shop", "waiting", "429", next_try_at=NOW + DAY, mentions=77, rejects=77))
    assert await engine.source_states() == {
        "shop": SourceState("shop", "waiting", "429", NOW + MINUTE, NOW + DAY, 3, 1, NOW - 3 * MINUTE)
    }


async def test_a_source_that_never_brought_a_page_has_its_state_too(engine: Engine) -> None:
    state = SourceState("shop", "quarantined", "401", NOW)
    await engine.put_source_state(state)
    assert await engine.source_states() == {"shop": state}


async def test_reset_forgets_the_cursor_and_lifts_a_quarantine_but_keeps_the_counts(engine: Engine) -> None:
    await save(engine, mention(1), cursor="after 1")
    await engine.put_source_state(SourceState("shop", "quarantined", "401", next_try_at=NOW))
    await engine.reset_source("shop")
    state = (await engine.source_states())["shop"]
    assert (state.state, state.detail, state.next_try_at, state.mentions) == ("new", "", None, 1)
    assert await engine.cursor("shop") is None


async def test_small_values_are_kept_replaced_and_forgotten(engine: Engine) -> None:
    await engine.put_setting("own_brand", "Acme")
    await engine.put_setting("first_ingest", "2026")
    await engine.put_setting("own_brand", "Zenith")
    assert await engine.settings() == {"own_brand": "Zenith", "first_ingest": "2026"}
    await engine.put_setting("own_brand", None)
    assert await engine.settings() == {"first_ingest": "2026"}


# --- subscriptions, alerts, deliveries ------------------------------------------------------------


async def test_a_subscription_comes_back_as_it_was_put(engine: Engine) -> None:
    late = Subscription(
        "late", "parcel AND late", NOW.replace(microsecond=123456), "Late parcels", "each", ("console", "hook"),
        timedelta(minutes=15), "channel", False, 4,
    )  # fmt: skip
    await engine.put_subscription(late)
    await engine.put_subscription(Subscription("angry", "emotion:anger", NOW))
    assert [item.id for item in await engine.subscriptions()] == ["angry", "late"]
    assert (await engine.subscriptions())[1] == late
    await engine.put_subscription(replace(late, enabled=True, version=5))
    assert [item.version for item in await engine.subscriptions()] == [1, 5]


async def test_a_query_that_cannot_be_read_is_refused_before_it_is_stored(engine: Engine) -> None:
    with pytest.raises(QueryError):
        await subscribe(engine, query="(parcel")
    assert await engine.subscriptions() == []


async def test_a_new_subscription_matches_the_very_next_page(engine: Engine) -> None:
    await subscribe(engine, "other", "nothing")
    await save(engine, mention(1), rules=Scripted(Plan()))
    await subscribe(engine, "late", "parcel")
    assert [[match.subscription for match in found] for found in await engine.match([Record(mention(2))])] == [["late"]]
    await engine.delete_subscription("late")
    assert await engine.match([Record(mention(2))]) == [[]]


async def test_a_deleted_subscription_leaves_its_alerts(engine: Engine) -> None:
    await subscribe(engine)
    await save(engine, mention(1), rules=Scripted(Plan((alert("a1", mention(1)),), {("late", "fired"): 1})))
    await engine.delete_subscription("late")
    assert [item.id for item in await engine.alerts("late")] == ["a1"]
    assert await engine.counts("late") == {}
    with pytest.raises(NotFoundError):
        await engine.delete_subscription("late")


async def test_an_alert_is_written_with_its_page_and_goes_to_every_destination(engine: Engine) -> None:
    await subscribe(engine)
    one = mention(1)
    fired = alert("a1", one, destinations=("console", "hook"))
    assert (await save(engine, one, rules=Scripted(Plan((fired,))))).alerts == 1
    assert await engine.alerts() == [fired]
    sent = await engine.outgoing(10, NOW)
    assert [(item.alert, item.destination, item.attempts) for item in sent] == [
        (fired, "console", 0), (fired, "hook", 0),
    ]  # fmt: skip
    assert len(await engine.outgoing(1, NOW)) == 1


async def test_the_same_alert_again_changes_nothing(engine: Engine) -> None:
    await subscribe(engine)
    fired = alert("a1", mention(1))
    await save(engine, mention(1), rules=Scripted(Plan((fired,))))
    await engine.delivered(Delivery("a1", "console", NOW, True), None)
    again = replace(fired, evidence=(evidence(mention(1), text="other words"),))
    assert (await save(engine, mention(2), rules=Scripted(Plan((again,))))).alerts == 0
    assert await engine.alerts() == [fired]
    assert await engine.outgoing(10, NOW) == []


async def test_a_gathering_alert_grows_by_what_is_new_and_goes_out_whole_when_due(engine: Engine) -> None:
    await subscribe(engine)
    first, second = mention(1), mention(2)
    due = NOW + 15 * MINUTE
    await save(engine, first, rules=Scripted(Plan((alert("a0", first, created=NOW - DAY),))))
    await save(engine, mention(3), rules=Scripted(Plan((alert("a1", first, due=due),))))
    rules = Scripted(Plan((alert("a1", first, second, due=due),)))
    assert (await save(engine, second, rules=rules)).alerts == 0
    assert rules.seen == {("late", ""): Group(NOW - DAY, alert("a1", first, due=due))}
    assert [item.alert.id for item in await engine.outgoing(10, due - MINUTE)] == ["a0"]
    whole = (await engine.outgoing(10, due))[1].alert
    assert [item.mention_id for item in whole.evidence] == [first.id, second.id]


async def test_an_alert_gathers_no_more_once_it_is_due(engine: Engine) -> None:
    await subscribe(engine)
    due = NOW + 15 * MINUTE
    await save(engine, mention(1), rules=Scripted(Plan((alert("a1", mention(1), due=due),))))
    rules = Scripted(Plan((alert("a1", mention(1), mention(2), due=due),)))
    await save(engine, mention(2), rules=rules, now=due)
    assert rules.seen == {("late", ""): Group(due, None)}
    assert len((await engine.alerts())[0].evidence) == 1


async def test_groups_of_one_subscription_do_not_meet(engine: Engine) -> None:
    await subscribe(engine)
    due = NOW + 15 * MINUTE
    await save(engine, mention(1), rules=Scripted(Plan((alert("a1", mention(1), due=due, group="x"),))))
    rules = Scripted(Plan(), ("late", "bluesky"))
    await save(engine, mention(2), rules=rules)
    assert rules.seen == {("late", "bluesky"): Group()}


async def test_matches_are_counted_by_how_they_ended(engine: Engine) -> None:
    await subscribe(engine)
    counts = {("late", "fired"): 2, ("late", "history"): 5}
    await save(engine, mention(1), rules=Scripted(Plan((), counts)))
    await save(engine, mention(2), rules=Scripted(Plan((), counts)))
    assert await engine.counts("late") == {"fired": 4, "history": 10}
    assert await engine.counts("other") == {}


async def test_a_failed_delivery_is_tried_again_when_asked_and_given_up_when_not(engine: Engine) -> None:
    await subscribe(engine)
    await save(engine, mention(1), rules=Scripted(Plan((alert("a1", mention(1), destinations=("hook",)),))))
    await engine.delivered(Delivery("a1", "hook", NOW, False, "503"), NOW + 5 * MINUTE)
    assert await engine.outgoing(10, NOW + MINUTE) == []
    assert [item.attempts for item in await engine.outgoing(10, NOW + 5 * MINUTE)] == [1]
    await engine.delivered(Delivery("a1", "hook", NOW + 5 * MINUTE, False, "410"), None)
    assert await engine.outgoing(10, NOW + DAY) == []
    log = await engine.deliveries("a1")
    assert [(item.detail, item.ok, item.at) for item in log] == [
        ("410", False, NOW + 5 * MINUTE), ("503", False, NOW),
    ]  # fmt: skip
    assert len(await engine.deliveries(limit=1)) == 1
    assert await engine.deliveries("a2") == []


async def test_a_late_failure_does_not_send_a_delivered_alert_again(engine: Engine) -> None:
    await subscribe(engine)
    await save(engine, mention(1), rules=Scripted(Plan((alert("a1", mention(1)),))))
    await engine.delivered(Delivery("a1", "console", NOW, True), None)
    await engine.delivered(Delivery("a1", "console", NOW, False, "timeout"), NOW)
    assert await engine.outgoing(10, NOW + DAY) == []


async def test_alerts_are_listed_newest_first_before_a_time_and_by_subscription(engine: Engine) -> None:
    await subscribe(engine)
    alerts = [alert(f"a{n}", mention(n), created=NOW - n * MINUTE, subscription=f"s{n % 2}") for n in range(4)]
    await save(engine, *(mention(n) for n in range(4)), rules=Scripted(Plan(tuple(alerts))))
    assert [item.id for item in await engine.alerts()] == ["a0", "a1", "a2", "a3"]
    assert [item.id for item in await engine.alerts("s1")] == ["a1", "a3"]
    assert [item.id for item in await engine.alerts(before=NOW - MINUTE)] == ["a2", "a3"]
    assert [item.id for item in await engine.alerts(limit=1)] == ["a0"]


# --- cases, corrections, keys ---------------------------------------------------------------------


async def test_a_case_is_written_only_at_the_version_that_was_read(engine: Engine) -> None:
    await save(engine, mention(1))
    opened = Case(mention(1).id, "new", NOW, due_at=NOW + DAY, data={"reason": "negative", "notes": ["é"]})
    first = await engine.put_case(opened)
    assert first == replace(opened, version=1)
    second = await engine.put_case(replace(first, state="assigned", owner="Zoë", replied_at=NOW))
    assert await engine.case(mention(1).id) == second
    for stale in (opened, first, replace(second, version=9)):
        with pytest.raises(ConflictError) as refusal:
            await engine.put_case(stale)
        assert refusal.value.current == 2
    assert await engine.case(mention(1).id) == second


async def test_a_case_needs_a_mention_and_a_known_state(engine: Engine) -> None:
    assert await engine.case(mention(1).id) is None
    with pytest.raises(NotFoundError):
        await engine.put_case(Case(mention(1).id, "new", NOW))
    await save(engine, mention(1))
    with pytest.raises(InputError, match="assigned"):
        await engine.put_case(Case(mention(1).id, "open", NOW))


async def test_cases_come_by_due_time_without_one_last_and_the_backlog_after_all(engine: Engine) -> None:
    await save(engine, *(mention(n) for n in range(5)))
    dues = [NOW + DAY, None, NOW, NOW - DAY, NOW + MINUTE]
    for n, due in enumerate(dues):
        await engine.put_case(Case(mention(n).id, "new", NOW, due_at=due, backlog=n == 3))
    ids = [mention(n).id for n in range(5)]
    assert [ids.index(case.mention_id) for case in await engine.cases()] == [2, 4, 0, 1, 3]
    assert [ids.index(case.mention_id) for case in await engine.cases(limit=2)] == [2, 4]


async def test_cases_are_found_by_state_and_by_owner_in_any_spelling(engine: Engine) -> None:
    await save(engine, *(mention(n) for n in range(3)))
    for n, (state, owner) in enumerate([("new", None), ("assigned", "Zoë"), ("replied", "Max")]):
        await engine.put_case(Case(mention(n).id, state, NOW, owner))
    assert sorted(case.state for case in await engine.cases(["new", "replied"])) == ["new", "replied"]
    assert [case.owner for case in await engine.cases(owner="zoe")] == ["Zoë"]
    assert await engine.cases(["new"], "zoe") == []


async def test_an_edited_mention_keeps_its_case(engine: Engine) -> None:
    await save(engine, mention(1))
    kept = await engine.put_case(Case(mention(1).id, "new", NOW))
    await save(engine, replace(mention(1), version=to_ms(NOW), text="better now"))
    assert await engine.case(mention(1).id) == kept


async def test_corrections_are_kept_oldest_first(engine: Engine) -> None:
    await save(engine, mention(1))
    late = Correction(mention(1).id, 2, NOW + MINUTE, {"step": "reception"})
    early = Correction(mention(1).id, 1, NOW, {"sentiment": "negative"})
    numbers = [await engine.add_correction(late), await engine.add_correction(early)]
    assert await engine.corrections() == [replace(early, id=numbers[1]), replace(late, id=numbers[0])]
    with pytest.raises(NotFoundError):
        await engine.add_correction(replace(early, mention_id=mention(2).id))


async def test_a_key_comes_back_as_it_was_put_and_can_be_revoked(engine: Engine) -> None:
    key = ApiKey("k1", "dashboards", "00ff", ("read", "ingest"), NOW)
    await engine.put_key(key)
    await engine.put_key(ApiKey("k0", "newer", "11ff", (), NOW + MINUTE))
    await engine.put_key(replace(key, revoked_at=NOW + DAY))
    assert [item.id for item in await engine.keys()] == ["k1", "k0"]
    assert (await engine.keys())[0] == replace(key, revoked_at=NOW + DAY)


# --- removing -------------------------------------------------------------------------------------


async def furnish(engine: Engine, *mentions: Mention) -> None:
    """Give mentions an earlier version, a case, a correction and an alert each."""
    if not await engine.subscriptions():
        await subscribe(engine)
    await save(engine, *mentions)
    for item in mentions:
        edited = replace(item, version=item.version + 1000)
        fired = alert(f"alert {item.native_id}", edited, group=(item.author and item.author.handle) or "")
        await save(engine, edited, rules=Scripted(Plan((fired,))))
        await engine.put_case(Case(item.id, "new", NOW, data={"notes": [item.text]}))
        await engine.add_correction(Correction(item.id, item.version, NOW, {"step": "reception"}))


async def assert_gone(engine: Engine, item: Mention) -> None:
    with pytest.raises(NotFoundError):
        await engine.get(item.id)
    assert await engine.versions(item.id) == []
    assert await engine.case(item.id) is None
    assert item.id not in {correction.mention_id for correction in await engine.corrections()}
    shell = next(found for found in await engine.alerts() if found.id == f"alert {item.native_id}")
    assert shell.evidence == ()
    assert item.author is None or shell.group != item.author.handle
    assert shell.id not in {outgoing.alert.id for outgoing in await engine.outgoing(100, NOW + DAY)}


async def assert_whole(engine: Engine, item: Mention) -> None:
    assert (await engine.get(item.id)).mention.text == item.text
    assert len(await engine.versions(item.id)) == 1
    assert await engine.case(item.id) is not None
    assert item.id in {correction.mention_id for correction in await engine.corrections()}
    assert f"alert {item.native_id}" in {outgoing.alert.id for outgoing in await engine.outgoing(100, NOW + DAY)}


async def test_a_deletion_at_the_source_takes_all_that_hangs_on_the_mention(engine: Engine) -> None:
    await furnish(engine, by("ana", 1), by("bob", 2))
    await save(engine, deletions=(Deletion(mention(1).id, NOW),))
    await assert_gone(engine, by("ana", 1))
    await assert_whole(engine, by("bob", 2))


@pytest.mark.parametrize("asked", ["ana_lopez", "@Ana_Lopez", " ANA_LOPEZ ", "id-4711"])
async def test_erase_takes_an_author_by_handle_in_any_case_or_by_id_and_nobody_else(engine: Engine, asked: str) -> None:
    await furnish(engine, by("Ana_Lopez", 1, "id-4711"), by("@ana_lopez", 2, "id-4711"), by("bob", 3, "id-9"))
    assert await engine.erase(asked) == 2
    for number in (1, 2):
        await assert_gone(engine, by("Ana_Lopez", number))
    await assert_whole(engine, by("bob", 3))
    assert await engine.erase(asked) == 0


async def test_erase_takes_a_pseudonym(engine: Engine) -> None:
    await furnish(engine, by("p_0123456789abcdef01234567", 1), by("p_ffffffffffffffffffffffff", 2))
    assert await engine.erase("p_0123456789abcdef01234567") == 1
    await assert_whole(engine, by("p_ffffffffffffffffffffffff", 2))


async def test_erase_follows_an_author_who_changed_the_handle(engine: Engine) -> None:
    await furnish(engine, by("old_name", 1, "id-4711"), by("new_name", 2, "id-4711"))
    await furnish(engine, by("stranger", 3, "id-4711", source="elsewhere"))  # ids of two sources are two people
    renamed = by("new_name", 4)
    await save(engine, replace(renamed, author=Author(handle="old_name")))
    await save(engine, replace(renamed, version=renamed.version + 1))
    assert await engine.erase("old_name") == 3
    await assert_gone(engine, by("new_name", 2))
    await assert_whole(engine, by("stranger", 3, source="elsewhere"))


async def test_what_was_erased_does_not_come_back_with_a_repeated_page(engine: Engine) -> None:
    one = by("ana", 1)
    await save(engine, one)
    await engine.erase("ana")
    assert await engine.known([(one.id, one.version)]) == {(one.id, one.version)}
    assert (await save(engine, one)).new == 0


async def test_erase_takes_dead_letters_and_pushes_that_name_the_author(engine: Engine) -> None:
    await save(
        engine,
        by("anaë", 1, "4711-x"),
        rejects=(
            Reject(b'{"author":"@Ana\\u00EB","bad"', "no json", "line 1"),
            Reject('{"author":"ANAË","bad"'.encode(), "no json", "line 2"),
            Reject(b'{"author_id":"4711-x"', "no json", "line 3"),
            Reject(b"{}", "no field for anaë", "line 4"),
            Reject(b'{"author":"banana"', "no json", "line 5"),
        ),
    )
    await engine.inbox_put("hook", "e1", "from anaë".encode(), NOW)
    await engine.inbox_put("hook", "e2", b"from bob", NOW)
    assert await engine.erase("@anaë") == 1
    assert [letter.where for letter in await engine.dead_letters(all=True)] == ["line 5"]
    assert [body for _, _, body, _ in await engine.inbox_take("hook", 10)] == [b"from bob"]


async def test_a_short_name_takes_only_payloads_where_it_stands_as_a_word(engine: Engine) -> None:
    await save(
        engine,
        rejects=(Reject(b"banal", "bad", "1"), Reject(b'"by\\nal"', "bad", "2"), Reject(b"@AL!", "bad", "3")),
    )
    assert await engine.erase("al") == 0
    assert [letter.where for letter in await engine.dead_letters()] == ["1"]


@pytest.mark.parametrize("nobody", ["", " ", "@"])
async def test_erase_refuses_an_empty_name(engine: Engine, nobody: str) -> None:
    await save(engine, mention(1))
    with pytest.raises(InputError):
        await engine.erase(nobody)
    assert (await engine.status()).mentions == 1


async def test_an_alert_emptied_while_gathering_still_delivers_what_comes_later(engine: Engine) -> None:
    await subscribe(engine)
    due = NOW + 15 * MINUTE
    await save(engine, by("ana", 1), rules=Scripted(Plan((alert("a1", mention(1), due=due),))))
    await engine.erase("ana")
    assert await engine.outgoing(10, due) == []
    await save(engine, by("bob", 2), rules=Scripted(Plan((alert("a1", mention(2), due=due),))))
    assert [len(item.alert.evidence) for item in await engine.outgoing(10, due)] == [1]


async def test_an_alert_keeps_the_evidence_of_others(engine: Engine) -> None:
    await subscribe(engine)
    await save(engine, by("ana", 1), by("bob", 2), rules=Scripted(Plan((alert("a1", mention(1), mention(2)),))))
    await engine.erase("ana")
    [found] = await engine.outgoing(10, NOW)
    assert [item.mention_id for item in found.alert.evidence] == [mention(2).id]


async def test_expire_takes_what_was_published_before_and_leaves_the_rest(engine: Engine) -> None:
    await furnish(engine, mention(1), mention(2), mention(3))
    seen: list[tuple[int, int]] = []
    assert await engine.expire(mention(2).published_at, progress=lambda done, total: seen.append((done, total))) == 1
    await assert_gone(engine, mention(3))
    await assert_whole(engine, mention(2))
    await assert_whole(engine, mention(1))
    assert seen[-1] == (1, 1)


async def test_expire_of_named_sources_leaves_the_others(engine: Engine) -> None:
    await furnish(engine, mention(1), mention(2, source="forum"), mention(3, source="feed"))
    assert await engine.expire(NOW, ["shop", "feed"]) == 2
    await assert_whole(engine, mention(2, source="forum"))
    assert await engine.expire(NOW, ["unknown"]) == 0


async def test_expire_takes_payloads_received_before(engine: Engine) -> None:
    await save(engine, rejects=(Reject(b"old", "bad"),), now=NOW - DAY)
    await save(engine, rejects=(Reject(b"new", "bad"),))
    await engine.inbox_put("hook", "e1", b"old", NOW - DAY)
    await engine.inbox_put("hook", "e2", b"new", NOW)
    assert await engine.expire(NOW, ["hook"]) == 0
    assert [letter.raw for letter in await engine.dead_letters()] == [b"old", b"new"]
    await engine.expire(NOW)
    assert [letter.raw for letter in await engine.dead_letters()] == [b"new"]
    assert [body for _, _, body, _ in await engine.inbox_take("hook", 10)] == [b"new"]


async def test_status_counts_what_is_stored(engine: Engine) -> None:
    assert (await engine.status()).mentions == 0
    await save(engine, mention(1))
    waiting = Batch("shop", Page(), (Record(mention(2)), Record(mention(3))), NOW, failures={mention(3).id: "broke"})
    await engine.save(waiting)
    status = await engine.status()
    assert (status.mentions, status.analysed, status.waiting, status.failed) == (3, 0, 1, 1)
    assert status.bytes > 0
    assert status.problems == ()


# --- one record by its key ------------------------------------------------------------------------


async def test_one_alert_and_the_alerts_of_a_mention_are_found_by_id(engine: Engine) -> None:
    first, second = mention(1), mention(2)
    alerts = [
        Alert(key, "s", "", NOW, NOW, tuple(Evidence(item.id, item.version, NOW, {}) for item in items), ("console",))
        for key, items in (("a" * 32, [first]), ("b" * 32, [first, second]))
    ]
    await engine.put_subscription(Subscription("s", "*", NOW))

    class Writing:
        """Rules that write both alerts."""

        def groups(self, changes: Sequence[Change], subscriptions: Mapping[str, Subscription]) -> set[tuple[str, str]]:
            return set()

        def plan(self, changes: Any, subscriptions: Any, groups: Any, now: datetime) -> Plan:
            return Plan(tuple(alerts))

    records = tuple(Record(item) for item in (first, second))
    await engine.save(Batch("shop", Page(), records, NOW), Writing())
    assert (await engine.alert("a" * 32)).evidence == alerts[0].evidence
    assert {alert.id for alert in await engine.alerts_of(first.id)} == {"a" * 32, "b" * 32}
    assert [alert.id for alert in await engine.alerts_of(second.id)] == ["b" * 32]
    assert len(await engine.outgoing(10, NOW)) == 2
    assert await engine.outgoing(10, NOW, skip=("console",)) == []
    with pytest.raises(NotFoundError):
        await engine.alert("c" * 32)


async def test_one_dead_letter_is_found_by_its_number(engine: Engine) -> None:
    await engine.save(Batch("shop", Page(rejects=(Reject(b"raw", "why", "line 1"),)), (), NOW))
    (letter,) = await engine.dead_letters()
    assert await engine.dead_letter(letter.id) == letter
    with pytest.raises(NotFoundError):
        await engine.dead_letter(letter.id + 1)

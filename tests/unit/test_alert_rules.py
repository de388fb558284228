"""Which matches become alerts, which share one, and when they are due."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.contract import Alert, Change, Group, Match, Plan, Subscription
from listener.alerts import GROUP_BY, MAX_EVIDENCE, AlertRules, check, group_of, is_history
from listener.errors import ConfigError
from listener.model import Author, Mention, Record, from_ms, to_ms

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULES = AlertRules(lambda record, subscription, now: {"text": record.mention.text})


def mention(number: int = 1, **fields: Any) -> Mention:
    plain = Mention(f"{number:032x}", str(number), "src", "review", "x", f"text {number}", NOON, NOON, to_ms(NOON))
    return replace(plain, **fields)


def subscription(**fields: Any) -> Subscription:
    return replace(Subscription("s", "late", NOON - HOUR), **fields)


def change(
    after: Mention,
    *,
    before: Mention | None = None,
    certain: bool = True,
    matched_before: bool = False,
    name: str = "s",
) -> Change:
    earlier = frozenset({name}) if matched_before else frozenset[str]()
    return Change(Record(before) if before else None, Record(after), (Match(name, certain),), earlier)


def plan(*changes: Change, of: Subscription | None = None, group: Group | None = None, now: datetime = NOON) -> Plan:
    rule = of or subscription()
    states = {key: group or Group() for key in RULES.groups(changes, {rule.id: rule})}
    return RULES.plan(changes, {rule.id: rule}, states, now)


# --- what fires -----------------------------------------------------------------------------------


def test_a_new_certain_match_is_an_alert_due_now_with_its_evidence() -> None:
    [alert] = plan(change(mention(7))).alerts
    assert (alert.subscription, alert.due_at, alert.destinations) == ("s", NOON, ("console",))
    [evidence] = alert.evidence
    assert (evidence.mention_id, evidence.version, evidence.data) == (mention(7).id, to_ms(NOON), {"text": "text 7"})


@pytest.mark.parametrize(
    ("what", "outcome"),
    [
        (change(mention(own=True)), "own"),
        (change(mention(history=True)), "history"),
        (change(mention(), certain=False), "uncertain"),
    ],
)
def test_own_history_and_uncertain_matches_are_counted_and_never_alerted(what: Change, outcome: str) -> None:
    assert plan(what) == Plan((), {("s", outcome): 1})


def test_what_fires_is_counted_too() -> None:
    assert plan(change(mention(1)), change(mention(2))).counts == {("s", "fired"): 2}


def test_an_edit_fires_only_if_the_earlier_version_did_not_match() -> None:
    edited = mention(version=to_ms(NOON) + 1)
    assert plan(change(edited, before=mention(), matched_before=True)) == Plan((), {})
    assert len(plan(change(edited, before=mention())).alerts) == 1


def test_an_edit_that_matches_again_is_another_alert_than_the_first() -> None:
    first = plan(change(mention())).alerts[0].id
    again = plan(change(mention(version=to_ms(NOON) + 2), before=mention(version=to_ms(NOON) + 1))).alerts[0].id
    assert first != again


def test_a_late_edit_of_a_mention_first_received_in_time_is_no_history() -> None:
    late = mention(version=to_ms(NOON) + 1, history=True)
    assert len(plan(change(late, before=mention())).alerts) == 1
    assert plan(change(late, before=mention(history=True))).counts == {("s", "history"): 1}


def test_history_is_what_was_published_longer_before_it_was_received_than_allowed() -> None:
    exactly = mention(received_at=NOON + timedelta(hours=24))
    later = mention(received_at=NOON + timedelta(hours=24, milliseconds=1))
    assert [is_history(one, timedelta(hours=24)) for one in (exactly, later)] == [False, True]


def test_a_subscription_that_is_disabled_or_gone_does_not_fire() -> None:
    assert plan(change(mention()), of=subscription(enabled=False)) == Plan((), {})
    assert RULES.plan([change(mention())], {}, {}, NOON) == Plan((), {})


def test_an_unknown_condition_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as failure:
        plan(change(mention()), of=subscription(condition="spike"))
    assert failure.value.problems[0].allowed == ("each",)


def test_everything_wrong_with_a_subscription_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as failure:
        check(subscription(condition="spike", group_by="mood", cooldown=-HOUR))
    assert [problem.path for problem in failure.value.problems] == ["condition", "group_by", "cooldown"]
    check(subscription(group_by="brand", cooldown=HOUR))


# --- groups ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", GROUP_BY)
def test_the_same_value_is_one_group_and_another_value_another(field: str) -> None:
    def of(value: str) -> str:
        author = Author(handle=value)
        fields = {"author": author} if field == "author" else {"thread_id": value} if field == "thread" else {}
        return group_of(Record(mention(**(fields or {field: value}))), field)

    assert of("de") == of("de") != of("fr")
    assert of("de")


def test_case_and_spaces_make_no_other_group() -> None:
    assert group_of(Record(mention(brand=" ACME ")), "brand") == group_of(Record(mention(brand="acme")), "brand")


def test_a_group_of_an_author_does_not_hold_the_handle() -> None:
    record = Record(mention(author=Author(handle="@ana.lopez")))
    assert "ana" not in group_of(record, "author")
    assert group_of(record, "author") == group_of(Record(mention(2, author=Author(handle="Ana.Lopez"))), "author")


def test_the_same_handle_on_another_channel_is_somebody_else() -> None:
    here, there = (Record(mention(channel=channel, author=Author(handle="ana"))) for channel in ("x", "bluesky"))
    assert group_of(here, "author") != group_of(there, "author")


@pytest.mark.parametrize("field", ["author", "thread"])
def test_mentions_without_author_or_thread_are_not_thrown_together(field: str) -> None:
    assert group_of(Record(mention(1)), field) != group_of(Record(mention(2)), field)


def test_a_post_and_its_answers_are_one_thread() -> None:
    root, answer = mention(1), mention(2, parent_id="1")
    assert group_of(Record(root), "thread") == group_of(Record(answer), "thread")


# --- cool-down ------------------------------------------------------------------------------------


def test_all_matches_of_one_page_are_one_alert_that_fires_at_once() -> None:
    [alert] = plan(*(change(mention(number)) for number in range(5)), of=subscription(cooldown=HOUR)).alerts
    assert alert.due_at == NOON
    assert [evidence.mention_id for evidence in alert.evidence] == [mention(number).id for number in range(5)]


def test_a_match_within_the_cooldown_is_gathered_until_it_ends() -> None:
    fired = Group(last_due_at=NOON - timedelta(minutes=20))
    [alert] = plan(change(mention()), of=subscription(cooldown=HOUR), group=fired).alerts
    assert alert.due_at == NOON + timedelta(minutes=40)


def test_a_match_when_the_cooldown_has_just_ended_fires_at_once() -> None:
    [alert] = plan(change(mention()), of=subscription(cooldown=HOUR), group=Group(last_due_at=NOON - HOUR)).alerts
    assert alert.due_at == NOON


def test_a_match_long_after_the_cooldown_is_due_now_and_not_in_the_past() -> None:
    [alert] = plan(change(mention()), of=subscription(cooldown=HOUR), group=Group(last_due_at=NOON - 9 * HOUR)).alerts
    assert alert.due_at == NOON


def test_due_times_are_whole_milliseconds_as_they_are_stored() -> None:
    rule, odd = subscription(cooldown=HOUR), NOON + timedelta(microseconds=1999)
    [alert] = plan(change(mention()), of=rule, now=odd).alerts
    assert alert.due_at == alert.evidence[0].matched_at == NOON + timedelta(milliseconds=1)


def test_what_is_gathered_grows_and_loses_nothing() -> None:
    rule = subscription(cooldown=HOUR)
    [first] = plan(change(mention(1)), of=rule, group=Group(last_due_at=NOON)).alerts
    [grown] = plan(change(mention(2)), of=rule, group=Group(NOON, first), now=NOON + timedelta(minutes=1)).alerts
    assert (grown.id, grown.due_at) == (first.id, first.due_at)
    assert grown.evidence[0] == first.evidence[0]
    assert [evidence.mention_id for evidence in grown.evidence] == [mention(1).id, mention(2).id]


def test_an_alert_that_fell_due_while_gathering_grows_no_more() -> None:
    rule = subscription(cooldown=HOUR)
    [first] = plan(change(mention(1)), of=rule, group=Group(last_due_at=NOON)).alerts
    [other] = plan(change(mention(2)), of=rule, group=Group(NOON, first), now=NOON + HOUR).alerts
    assert other.id != first.id
    assert other.due_at == NOON + 2 * HOUR


def test_groups_cool_down_apart() -> None:
    rule = subscription(cooldown=HOUR, group_by="brand")
    changes = [change(mention(1, brand="Acme")), change(mention(2, brand="Rival"))]
    states = {("s", "acme"): Group(last_due_at=NOON)}
    due = {alert.group: alert.due_at for alert in RULES.plan(changes, {"s": rule}, states, NOON).alerts}
    assert due == {"acme": NOON + HOUR, "rival": NOON}


def test_a_full_alert_is_due_at_once_and_the_next_begins() -> None:
    rule = subscription(cooldown=HOUR)
    changes = [change(mention(number)) for number in range(2 * MAX_EVIDENCE + 500)]
    alerts = plan(*changes, of=rule, group=Group(last_due_at=NOON - timedelta(minutes=1))).alerts
    assert [len(alert.evidence) for alert in alerts] == [MAX_EVIDENCE, MAX_EVIDENCE, 500]
    assert [alert.due_at for alert in alerts] == [NOON, NOON, NOON + HOUR]
    assert len({evidence.mention_id for alert in alerts for evidence in alert.evidence}) == len(changes)


def test_a_page_repeated_after_a_crash_of_a_cluster_makes_no_second_alert() -> None:
    # There the alert may be written and the page not yet settled: the repeat sees the alert it wrote itself.
    rule = subscription(cooldown=HOUR)
    changes = [change(mention(1)), change(mention(2))]
    [first] = plan(*changes, of=rule).alerts
    [repeat] = plan(*changes, of=rule, group=Group(last_due_at=NOON), now=NOON + timedelta(seconds=9)).alerts
    assert repeat.id == first.id
    [gathering] = plan(*changes, of=rule, group=Group(last_due_at=NOON)).alerts
    assert plan(*changes, of=rule, group=Group(NOON, gathering)).alerts == ()


# --- over any sequence of pages -------------------------------------------------------------------


@dataclass
class Store:
    """The alerts an engine would hold, and the state of their groups as its contract says."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def group(self, key: tuple[str, str], now: datetime) -> Group:
        mine = [alert for alert in self.alerts.values() if (alert.subscription, alert.group) == key]
        due = [alert.due_at for alert in mine if alert.due_at <= now]
        return Group(max(due, default=None), next((alert for alert in mine if alert.due_at > now), None))

    def save(self, changes: Sequence[Change], rules: dict[str, Subscription], now: datetime) -> None:
        now = from_ms(to_ms(now))
        states = {key: self.group(key, now) for key in RULES.groups(changes, rules)}
        made = RULES.plan(changes, rules, states, now)
        for alert in made.alerts:
            old = self.alerts.get(alert.id)
            assert old is None or (old.due_at > now and alert.evidence[: len(old.evidence)] == old.evidence)
            self.alerts[alert.id] = alert
        self.counts.update(made.counts)


@dataclass(frozen=True)
class Told:
    """One match of a random page."""

    brand: str
    own: bool
    history: bool
    certain: bool
    matched_before: bool
    name: str


rarely = st.sampled_from([False, False, False, True])
matches = st.builds(
    Told, st.sampled_from(["acme", "rival"]), rarely, rarely, st.booleans() | st.just(True), rarely,
    st.sampled_from(["plain", "cooled", "grouped"]),
)  # fmt: skip
pages = st.lists(st.tuples(st.integers(0, 5400_000_000), st.lists(matches, max_size=6)), max_size=12)
SUBSCRIPTIONS = {
    "plain": subscription(id="plain"),
    "cooled": subscription(id="cooled", cooldown=HOUR),
    "grouped": subscription(id="grouped", cooldown=timedelta(minutes=25), group_by="brand"),
}


def play(told: list[tuple[int, list[Told]]]) -> tuple[Store, Counter[tuple[str, str]]]:
    """A store after these pages (microseconds since the one before), and what should have fired."""
    store, expected, now, number = Store(), Counter[tuple[str, str]](), NOON, 0
    for pause, page in told:
        now += timedelta(microseconds=pause)
        changes = []
        for one in page:
            number += 1
            after = mention(number, brand=one.brand, own=one.own, history=one.history)
            before = mention(number, version=0, history=one.history) if one.matched_before else None
            changes.append(
                change(after, before=before, certain=one.certain, matched_before=one.matched_before, name=one.name)
            )
            if one.certain and not (one.own or one.history or one.matched_before):
                expected[one.name, after.id] += 1
        store.save(changes, SUBSCRIPTIONS, now)
    return store, expected


@given(pages)
def test_every_match_that_may_fire_is_in_exactly_one_alert(told: list[tuple[int, list[Told]]]) -> None:
    store, expected = play(told)
    found = Counter((alert.subscription, item.mention_id) for alert in store.alerts.values() for item in alert.evidence)
    assert found == expected
    assert sum(n for (_, outcome), n in store.counts.items() if outcome == "fired") == expected.total()


@given(pages)
def test_two_alerts_of_a_group_are_never_due_closer_than_the_cooldown(told: list[tuple[int, list[Told]]]) -> None:
    store, _ = play(told)
    for key in {(alert.subscription, alert.group) for alert in store.alerts.values()}:
        cooldown = SUBSCRIPTIONS[key[0]].cooldown
        due = sorted(alert.due_at for alert in store.alerts.values() if (alert.subscription, alert.group) == key)
        assert all(later - earlier >= cooldown for earlier, later in pairwise(due))


@given(pages)
def test_the_same_pages_give_the_same_alerts_under_the_same_ids(told: list[tuple[int, list[Told]]]) -> None:
    assert play(told)[0] == play(told)[0]


@given(pages)
def test_no_match_waits_longer_than_the_cooldown(told: list[tuple[int, list[Told]]]) -> None:
    store, _ = play(told)
    for alert in store.alerts.values():
        cooldown = SUBSCRIPTIONS[alert.subscription].cooldown
        assert all(alert.due_at - item.matched_at <= cooldown for item in alert.evidence)

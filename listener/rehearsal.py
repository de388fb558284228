"""How often a subscription would have fired: its rules walked in time order over what is stored, as if live."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from index.contract import Alert, Change, Group, Match, Search, Subscription
from index.engine import Engine
from index.evaluate import Document, evaluate
from index.query import parse
from listener.alerts import AlertRules, Key
from listener.model import Record, to_ms

_PAGE = 500
PERIOD = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Fired:
    """One alert there would have been: when it began, and what it would have listed."""

    at: datetime
    group: str
    mentions: tuple[str, ...]  # ids, in the order in which they matched


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The alerts of the period per week (its Monday), the latest of them, and matches that would not have fired."""

    since: datetime
    until: datetime
    matches: int
    fired: int
    uncertain: int
    own: int
    weeks: tuple[tuple[date, int], ...]
    latest: tuple[Fired, ...]


async def rehearse(
    engine: Engine, subscription: Subscription, now: datetime, timezone: str = "UTC", period: timedelta = PERIOD
) -> Rehearsal:
    """Walk the subscription over the mentions published in `period` before `now`. Raises QueryError.

    Each mention counts as received when it was published; its present version stands for all of them.
    """
    node = parse(subscription.query, now=now, timezone=timezone)
    rules = AlertRules(describe=lambda record, subscription, now: {})
    subscriptions = {subscription.id: replace(subscription, enabled=True)}
    groups: dict[Key, Group] = {}
    alerts: dict[str, Alert] = {}
    counts: Counter[str] = Counter()
    matches = 0
    async for record in _in_time_order(engine, subscription.query, now - period, now, timezone):
        matches += 1
        at = record.mention.published_at
        certain = evaluate(node, Document(record), certain=True)
        live = replace(record, mention=replace(record.mention, history=False, received_at=at))
        changes = [Change(None, live, (Match(subscription.id, certain),), frozenset())]
        held = {key: groups.get(key, Group()) for key in rules.groups(changes, subscriptions)}
        plan = rules.plan(changes, subscriptions, held, at)
        for (_, outcome), n in plan.counts.items():
            counts[outcome] += n
        for alert in plan.alerts:
            alerts[alert.id] = alert
            key = (alert.subscription, alert.group)
            if key in held:
                groups[key] = _after(alert, groups.get(key, Group()), at)
    return _told(list(alerts.values()), counts, matches, now - period, now, timezone)


def _after(alert: Alert, group: Group, at: datetime) -> Group:
    """The state of a group once this alert of it stands: as the engine reads it from what it stored."""
    last = group.last_due_at
    if group.gathering is not None and group.gathering.due_at <= at:
        last = max(last or group.gathering.due_at, group.gathering.due_at)
    if alert.due_at <= at:
        return Group(max(last or alert.due_at, alert.due_at), None)
    return Group(last, alert)


async def _in_time_order(
    engine: Engine, query: str, since: datetime, until: datetime, timezone: str
) -> AsyncIterator[Record]:
    """What the query finds in the period, oldest first."""
    within = f"date:[{to_ms(since)} TO {to_ms(until)}]"
    query = f"({query}) {within}" if query.strip() else within
    token: str | None = None
    while True:
        asked = Search(query, sort="date", size=_PAGE, page=token, timezone=timezone, highlight=False)
        hits = await engine.search(asked, until)
        for hit in hits.hits:
            yield hit.record
        token = hits.next
        if token is None:
            return


def _told(
    alerts: list[Alert], counts: Counter[str], matches: int, since: datetime, until: datetime, timezone: str
) -> Rehearsal:
    zone = ZoneInfo(timezone)
    alerts.sort(key=lambda alert: (alert.created_at, alert.id))
    weeks: Counter[date] = Counter()
    monday = _monday(since.astimezone(zone).date())
    while monday <= until.astimezone(zone).date():
        weeks[monday] = 0
        monday += timedelta(days=7)
    for alert in alerts:
        weeks[_monday(alert.created_at.astimezone(zone).date())] += 1
    latest = tuple(
        Fired(alert.created_at, alert.group, tuple(item.mention_id for item in alert.evidence))
        for alert in reversed(alerts[-3:])
    )
    return Rehearsal(
        since, until, matches, len(alerts), counts["uncertain"], counts["own"], tuple(sorted(weeks.items())), latest
    )


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())

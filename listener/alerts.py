"""Alerts: which matches of a subscription become one, and which of them share one.

Pure functions over changes, the state of the groups and `now`: the engine calls them inside its write, and the
same changes give the same alerts under the same ids.

Without a cool-down every match is an alert of its own. With one, the first match of a group fires at once and
opens a window; what matches until it ends is gathered and fires together when it ends.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from index.contract import Alert, Change, Evidence, Group, Match, Plan, Subscription
from index.document import language_of
from listener.errors import ConfigError, Problem
from listener.evidence import Describe, describe
from listener.model import Mention, Record, from_ms, mention_id, to_ms

GROUP_BY = ("brand", "channel", "product", "place", "author", "source", "thread", "language", "kind")
MAX_EVIDENCE = 1000  # mentions in one alert; a full one is due at once and the next begins
_LONGEST_GROUP = 200

Key = tuple[str, str]  # subscription, group


# --- conditions -----------------------------------------------------------------------------------


def each(change: Change, match: Match) -> str | None:
    """Every mention that begins to match: `fired`, the reason why not, or None where it matched before."""
    if match.subscription in change.matched_before:
        return None
    mention = change.after.mention
    if mention.own:
        return "own"
    # A mention is history by when it was first received: an old flag stays, a late edit earns none.
    if mention.history and (change.before is None or change.before.mention.history):
        return "history"
    return "fired" if match.certain else "uncertain"


Condition = Callable[[Change, Match], str | None]
CONDITIONS: Mapping[str, Condition] = {"each": each}


def condition(name: str) -> Condition:
    """The condition of that name. Raises ConfigError naming the known ones."""
    if name not in CONDITIONS:
        raise ConfigError(Problem("condition", f"there is no condition {name!r}", name, tuple(CONDITIONS)))
    return CONDITIONS[name]


def check(subscription: Subscription) -> None:
    """Refuse a subscription that the rules cannot follow. Raises ConfigError with every fault."""
    problems: list[Problem] = []
    if subscription.condition not in CONDITIONS:
        known = tuple(CONDITIONS)
        problems.append(
            Problem("condition", f"there is no condition {subscription.condition!r}", subscription.condition, known)
        )
    if subscription.group_by is not None and subscription.group_by not in GROUP_BY:
        message = f"mentions cannot be grouped by {subscription.group_by!r}"
        problems.append(Problem("group_by", message, subscription.group_by, GROUP_BY))
    if subscription.cooldown < timedelta(0):
        problems.append(Problem("cooldown", "cannot be negative", subscription.cooldown))
    if problems:
        raise ConfigError(problems)


# --- groups and ids -------------------------------------------------------------------------------


def group_of(record: Record, group_by: str | None) -> str:
    """The group a mention belongs to: the folded value of the field, empty where it has none.

    Authors and threads are hashed together with their channel: the same handle elsewhere is somebody else, and
    an alert whose evidence is erased must not keep the handle. A mention without author or thread is a group of
    its own: two unknown people are not one.
    """
    mention = record.mention
    if group_by is None:
        return ""
    if group_by == "author":
        author = mention.author
        name = (author.id or author.handle or author.name) if author else None
        return mention_id(mention.channel, name.casefold().lstrip("@")) if name else mention.id
    if group_by == "thread":
        # The first post of a thread is its root: its answers name it as thread or parent.
        return mention_id(mention.channel, mention.thread_id or mention.parent_id or mention.native_id)
    if group_by == "language":
        value = language_of(record)
    elif group_by in GROUP_BY:
        value = getattr(mention, group_by)
    else:
        raise ConfigError(Problem("group_by", f"mentions cannot be grouped by {group_by!r}", group_by, GROUP_BY))
    return (value or "").strip().casefold()[:_LONGEST_GROUP]


def alert_id(*parts: str) -> str:
    """The id of an alert: 32 hex digits of a hash over what makes it this alert."""
    return hashlib.sha256("\x00".join(parts).encode("utf8", "surrogatepass")).hexdigest()[:32]


def is_history(mention: Mention, max_age: timedelta) -> bool:
    """Whether it was published more than `max_age` before it was received."""
    return mention.received_at - mention.published_at > max_age


# --- the rules ------------------------------------------------------------------------------------


class AlertRules:
    """The service's `index.contract.Rules`; `describe` makes the evidence of one match."""

    def __init__(self, describe: Describe = describe) -> None:
        self._describe = describe

    def groups(self, changes: Sequence[Change], subscriptions: Mapping[str, Subscription]) -> set[Key]:
        """The groups, of subscriptions with a cool-down, in which something fires."""
        return {
            (subscription.id, group_of(change.after, subscription.group_by))
            for change, subscription, outcome in _outcomes(changes, subscriptions)
            if outcome == "fired" and subscription.cooldown
        }

    def plan(
        self,
        changes: Sequence[Change],
        subscriptions: Mapping[str, Subscription],
        groups: Mapping[Key, Group],
        now: datetime,
    ) -> Plan:
        """The alerts to write, new or grown, and how every match ended."""
        now = from_ms(to_ms(now))  # as it is stored: two due times are compared to the millisecond
        counts: Counter[Key] = Counter()
        alerts: dict[str, Alert] = {}
        gathered: dict[Key, dict[tuple[str, int], Evidence]] = {}
        for change, subscription, outcome in _outcomes(changes, subscriptions):
            counts[subscription.id, outcome] += 1
            if outcome != "fired":
                continue
            mention = change.after.mention
            group = group_of(change.after, subscription.group_by)
            evidence = Evidence(mention.id, mention.version, now, self._describe(change.after, subscription, now))
            if subscription.cooldown:
                gathered.setdefault((subscription.id, group), {})[mention.id, mention.version] = evidence
            else:
                key = alert_id("each", subscription.id, mention.id, str(mention.version))
                alerts[key] = Alert(key, subscription.id, group, now, now, (evidence,), subscription.destinations)
        for (name, group), items in gathered.items():
            state = groups.get((name, group), Group())
            for alert in gather(subscriptions[name], group, list(items.values()), state, now):
                alerts[alert.id] = alert
        return Plan(tuple(alerts.values()), dict(counts))


def _outcomes(
    changes: Sequence[Change], subscriptions: Mapping[str, Subscription]
) -> Iterator[tuple[Change, Subscription, str]]:
    for change in changes:
        for match in change.matches:
            subscription = subscriptions.get(match.subscription)
            if subscription is None or not subscription.enabled:
                continue
            outcome = condition(subscription.condition)(change, match)
            if outcome is not None:
                yield change, subscription, outcome


def gather(
    subscription: Subscription, group: str, items: Sequence[Evidence], state: Group, now: datetime
) -> list[Alert]:
    """The alerts of one group after these matches: closed ones first, then the one still gathering."""
    last, open_ = state.last_due_at, state.gathering
    if open_ is not None and open_.due_at <= now:  # its window has ended: it grows no more
        last, open_ = max(last or open_.due_at, open_.due_at), None
    held = {(item.mention_id, item.version) for item in open_.evidence} if open_ else set()
    waiting = [item for item in items if (item.mention_id, item.version) not in held]
    done: list[Alert] = []
    while waiting:
        if open_ is None:
            open_ = _begin(subscription, group, waiting[0], last, now)
        room = max(0, MAX_EVIDENCE - len(open_.evidence))
        full = len(waiting) >= room
        open_ = replace(
            open_, evidence=(*open_.evidence, *waiting[:room]), due_at=min(now, open_.due_at) if full else open_.due_at
        )
        waiting = waiting[room:]
        if open_.due_at <= now:
            done.append(open_)
            last, open_ = now, None
        elif not waiting:
            done.append(open_)
    return done


def _begin(subscription: Subscription, group: str, first: Evidence, last: datetime | None, now: datetime) -> Alert:
    """A new alert of a group: due now, or when the window that the last one opened has ended."""
    due = now if last is None else max(now, last + subscription.cooldown)
    key = alert_id("group", subscription.id, group, first.mention_id, str(first.version))
    return Alert(key, subscription.id, group, now, due, (), subscription.destinations)

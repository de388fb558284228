"""Stored subscriptions against mentions, inside the transaction that stores them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import apsw

from index import ast
from index.contract import Change, Match, Rules, Subscription
from index.document import Document
from index.embedded import alerting
from index.embedded.database import row
from index.percolate import Percolator
from listener.errors import QueryError
from listener.model import Record, to_ms

Parse = Callable[[str, datetime], ast.Node]


@dataclass(frozen=True, slots=True)
class _Held:
    """The enabled subscriptions as of one state of the table."""

    state: int
    subscriptions: dict[str, Subscription]
    steady: Percolator
    moving: tuple[tuple[str, str], ...]  # (id, query) of those whose meaning changes with the time


class Matcher:
    """Keeps the subscriptions of one process ready; reads them anew after any process changed one."""

    def __init__(self, parse: Parse) -> None:
        self._parse = parse
        self._held: _Held | None = None

    def at(self, connection: apsw.Connection, now: datetime) -> tuple[dict[str, Subscription], "Matching"]:
        """The enabled subscriptions, and their queries as they mean at `now`."""
        held = self._current(connection, now)
        moving = Percolator((key, self._parse(query, now)) for key, query in held.moving) if held.moving else None
        return held.subscriptions, Matching(held.steady, moving)

    def _current(self, connection: apsw.Connection, now: datetime) -> _Held:
        state = int((row(connection, "SELECT value FROM meta WHERE key = 'subscriptions'") or (0,))[0])
        if self._held is None or self._held.state != state:
            enabled = {key: s for key, s in alerting.load_subscriptions(connection).items() if s.enabled}
            steady: list[tuple[str, ast.Node]] = []
            moving: list[tuple[str, str]] = []
            for key, subscription in enabled.items():
                try:
                    node, later = (self._parse(subscription.query, at) for at in (now, now + timedelta(days=401)))
                except QueryError:  # a later release may refuse what an earlier one took: doctor says so
                    continue
                if node == later:
                    steady.append((key, node))
                else:
                    moving.append((key, subscription.query))
            self._held = _Held(state, enabled, Percolator(steady), tuple(moving))
        return self._held

    def alert(
        self, connection: apsw.Connection, pairs: Iterable[tuple[Record | None, Record]], rules: Rules, now: datetime
    ) -> int:
        """Match mentions (as they were, as they are) and write what the rules plan; gives the new alerts."""
        subscriptions, matching = self.at(connection, now)
        if not subscriptions:
            return 0
        changes = []
        for before, after in pairs:
            matches = matching.of(after)
            if matches:
                earlier = {match.subscription for match in matching.of(before) if match.certain} if before else set()
                changes.append(Change(before, after, tuple(matches), frozenset(earlier)))
        if not changes:
            return 0
        groups = alerting.read_groups(connection, rules.groups(changes, subscriptions), to_ms(now))
        return alerting.write_plan(connection, rules.plan(changes, subscriptions, groups, now), to_ms(now))


@dataclass(frozen=True, slots=True)
class Matching:
    """All queries at one instant."""

    steady: Percolator
    moving: Percolator | None

    def of(self, record: Record) -> Sequence[Match]:
        """The subscriptions a mention matches."""
        document = Document(record)
        found = self.steady.match(document)
        if self.moving is not None:
            found = [*found, *self.moving.match(document)]
        return [Match(key, certain) for key, certain in found]

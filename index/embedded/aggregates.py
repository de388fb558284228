"""Counts over what a query finds: facets, date histograms, raw figures per journey step."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import apsw

from index import ast
from index.contract import FACET_FIELDS, INTERVALS, Bucket, StepCounts
from index.embedded.columns import WORD_FIELDS
from index.embedded.compile import Compiler, Plan, Sql, conjuncts, has_slop
from index.embedded.database import row, rows
from index.embedded.reading import Reading
from index.limits import LIMITS
from listener.errors import InputError
from listener.model import EMOTIONS, INTENTS, SENTIMENTS, from_ms, to_ms

_QUARTER_HOUR_MS = 900_000  # every zone's offset is a multiple of it, so quarters fold into any zone's days
_LABELS = ("sentiment", "emotion", "intent", "step", "effort")
_SETS = {"emotion": EMOTIONS, "intent": INTENTS}
_MANY_VALUES = ("author", "product", "place", "audience")
_BITS = 60  # labels counted in one walk: they are the bits of one integer


class Aggregates(Reading):
    """The reads that count."""

    async def facets(
        self, query: str, fields: Sequence[str], now: datetime, size: int = 20, timezone: str = "UTC"
    ) -> dict[str, list[tuple[str, int]]]:
        """Per field the values and how many mentions have them, most first (ties: by value).

        Label fields count mentions by their segments; where the query has one `segments:( )`, only segments
        that meet it count, so that facets combine per clause.
        """
        for name in fields:
            if name not in FACET_FIELDS:
                raise InputError(f"unknown facet {name!r}: one of {', '.join(FACET_FIELDS)}")
        if not 1 <= size <= LIMITS.facet_values:
            raise InputError(f"size is 1 to {LIMITS.facet_values}, not {size}")
        node = self.parsed(query, now, timezone)

        def count(connection: apsw.Connection) -> dict[str, list[tuple[str, int]]]:
            found = _facet_counts(connection, node, list(dict.fromkeys(fields)), to_ms(now))
            return {
                name: sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:size]
                for name, counter in found.items()
            }

        return await self._db.read(count, LIMITS.seconds)

    async def series(
        self, query: str, interval: str, now: datetime, split: str | None = None, timezone: str = "UTC"
    ) -> list[Bucket]:
        """Mentions per hour, day, week or month of `timezone`, split by a facet field; empty spans left out."""
        if interval not in INTERVALS:
            raise InputError(f"unknown interval {interval!r}: one of {', '.join(INTERVALS)}")
        if split is not None and split not in FACET_FIELDS:
            raise InputError(f"cannot split by {split!r}: one of {', '.join(FACET_FIELDS)}")
        node = self.parsed(query, now, timezone)

        def count(connection: apsw.Connection) -> list[Bucket]:
            return _series(connection, node, interval, split, timezone, to_ms(now))

        return await self._db.read(count, LIMITS.seconds)

    async def journey(self, query: str, now: datetime, timezone: str = "UTC") -> list[StepCounts]:
        """Raw counts per step over the segments of the mentions found, each step that occurs."""
        node = self.parsed(query, now, timezone)
        return await self._db.read(lambda connection: _journey(connection, node, to_ms(now)), LIMITS.seconds)


def _bound_segments(compiler: Compiler, node: ast.Node) -> Sql:
    """The one `segments:( )` that a query's label counts keep to, or no condition."""
    bound = [part for part in conjuncts(node) if isinstance(part, ast.Segments) and not has_slop(part.item)]
    return compiler.segment_condition(bound[0].item) if len(bound) == 1 else Sql("1")


def _facet_counts(
    connection: apsw.Connection, node: ast.Node, fields: list[str], now_ms: int
) -> dict[str, Counter[str]]:
    """All facets: fields of few values in one walk, those of many by themselves, all labels in one walk."""
    compiler = Compiler(connection, now_ms)
    plan, bound = compiler.plan(node), _bound_segments(compiler, node)
    counts: dict[str, Counter[str]] = {name: Counter() for name in fields}
    names = _Names(connection)
    plain = [name for name in fields if name not in _LABELS]
    few = [name for name in plain if name not in _MANY_VALUES]
    for group in ([few] if few else []) + [[name] for name in plain if name in _MANY_VALUES]:
        columns = ", ".join(f"m.{name}" for name in group)
        places = ", ".join(str(place) for place in range(1, len(group) + 1))
        sql, values = plan.select(f"{columns}, count(*)", tail=f"GROUP BY {places}")
        for *found, count in rows(connection, sql, *values):
            for name, value in zip(group, found, strict=True):
                if value is not None:
                    counts[name][names.of(name, value)] += count
    labels = [item for name in fields if name in _LABELS for item in _labels_of(connection, name)]
    for start in range(0, len(labels), _BITS):
        _count_labels(connection, plan, bound, labels[start : start + _BITS], counts)
    return counts


def _labels_of(connection: apsw.Connection, name: str) -> list[tuple[str, str, str]]:
    """(field, label, condition on a segment) of every label that a field can have."""
    if name in _SETS:
        return [(name, label, f"s.{name}s & {1 << place} != 0") for place, label in enumerate(_SETS[name])]
    if name == "sentiment":
        return [(name, label, f"s.sentiment = {place}") for place, label in enumerate(SENTIMENTS)]
    if name == "effort":
        return [(name, str(number), f"s.effort IS NOT NULL AND s.effort = {number}") for number in range(1, 6)]
    return [
        (name, value, f"s.step = {code}")
        for code, value in rows(connection, "SELECT id, value FROM word WHERE field = 'step'")
    ]


def _count_labels(
    connection: apsw.Connection, plan: Plan, bound: Sql, labels: list[tuple[str, str, str]],
    counts: dict[str, Counter[str]],
) -> None:  # fmt: skip
    """Count the mentions with each label: a bit a label, gathered over the segments of a mention."""
    bits = " | ".join(f"(max({condition}) << {place})" for place, (_, _, condition) in enumerate(labels))
    mask = f"(SELECT {bits} FROM segment s WHERE s.mention = m.rowid AND {bound.text})"
    sql, values = plan.select(f"{mask}, count(*)", tail="GROUP BY 1")
    for found, count in rows(connection, sql, *bound.values, *values):
        for place, (name, label, _) in enumerate(labels):
            if found is not None and found >> place & 1:
                counts[name][label] += count


def _label_parts(name: str) -> list[tuple[str, str, str | None]]:
    """Per label of a field (label, condition on the segment, column); sets are counted bit by bit."""
    if name in _SETS:
        bits = f"s.{name}s"
        return [(label, f"{bits} & {1 << position} != 0", None) for position, label in enumerate(_SETS[name])]
    return [("", f"s.{name} IS NOT NULL", f"s.{name}")]


class _Names:
    """Codes back to the words people know."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._held: dict[int, str] = {}

    def of(self, name: str, value: Any) -> str:
        if name in ("sentiment", "overall"):
            return SENTIMENTS[value]
        if name in WORD_FIELDS or name == "step":
            if value not in self._held:
                (self._held[value],) = row(self._connection, "SELECT value FROM word WHERE id = ?", value) or ("?",)
            return self._held[value]
        return f"{value:g}" if isinstance(value, float) else str(value)


def _series(
    connection: apsw.Connection, node: ast.Node, interval: str, split: str | None, timezone: str, now_ms: int
) -> list[Bucket]:
    compiler = Compiler(connection, now_ms)
    plan = compiler.plan(node)
    quarter = f"(m.rowid >> 20) / {_QUARTER_HOUR_MS}"
    names = _Names(connection)
    counts: Counter[tuple[datetime, str | None]] = Counter()
    start_of = _starts(interval, ZoneInfo(timezone))
    for sql, values, label in _series_statements(plan, _bound_segments(compiler, node), split, quarter):
        for at, value, count in connection.execute(sql, values):
            name = label or (None if split is None else names.of(split, value))
            counts[start_of(at * _QUARTER_HOUR_MS), name] += count
    return [Bucket(start, value, n) for (start, value), n in sorted(counts.items(), key=_by_start)]


def _by_start(item: tuple[tuple[datetime, str | None], int]) -> tuple[datetime, str]:
    (start, value), _ = item
    return start, value or ""


def _series_statements(
    plan: Plan, segments: Sql, split: str | None, quarter: str
) -> list[tuple[str, tuple[object, ...], str | None]]:
    if split is None:
        sql, values = plan.select(f"{quarter} AS q, NULL, count(*)", tail="GROUP BY 1")
        return [(sql, values, None)]
    if split not in _LABELS:
        known = Sql(f"m.{split} IS NOT NULL")
        sql, values = plan.select(f"{quarter} AS q, m.{split}, count(*)", known, tail="GROUP BY 1, 2")
        return [(sql, values, None)]
    statements = []
    for label, condition, value in _label_parts(split):
        sql, values = plan.select(
            f"{quarter} AS q, {value or 0}, count(DISTINCT m.rowid)", Sql(condition), segments,
            join="JOIN segment s ON s.mention = m.rowid", tail="GROUP BY 1, 2",
        )  # fmt: skip
        statements.append((sql, values, label or None))
    return statements


def _starts(interval: str, zone: ZoneInfo) -> Callable[[int], datetime]:
    """Gives the start, as UTC, of the interval that an instant lies in; days follow the zone's clock."""
    held: dict[int, datetime] = {}

    def start(ms: int) -> datetime:
        if ms not in held:
            local = from_ms(ms).astimezone(zone)
            if interval == "hour":
                held[ms] = from_ms(ms - (local.minute * 60 + local.second) * 1000)
            else:
                day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
                back = {"day": 0, "week": day.weekday(), "month": day.day - 1}[interval]
                held[ms] = (
                    (day.replace(tzinfo=None) - timedelta(days=back)).replace(tzinfo=zone).astimezone(from_ms(0).tzinfo)
                )
        return held[ms]

    return start


def _journey(connection: apsw.Connection, node: ast.Node, now_ms: int) -> list[StepCounts]:
    compiler = Compiler(connection, now_ms)
    plan, segments = compiler.plan(node), _bound_segments(compiler, node)
    sets = [f"sum(s.emotions >> {i} & 1)" for i in range(len(EMOTIONS))]
    sets += [f"sum(s.intents >> {i} & 1)" for i in range(len(INTENTS))]
    inner, values = plan.select("m.rowid AS key, m.nps AS nps")
    sql = (
        f"WITH hit AS MATERIALIZED ({inner}) SELECT w.value, count(*), count(DISTINCT hit.key), "
        "sum(s.sentiment = 0), sum(s.sentiment = 1), sum(s.sentiment = 2), sum(s.uncertain), "
        f"total(s.effort), count(s.effort), {', '.join(sets)} "
        "FROM hit JOIN segment s ON s.mention = hit.key JOIN word w ON w.id = s.step "
        f"WHERE {segments.text} GROUP BY w.value"
    )
    nps = _nps_by_step(connection, inner, values, segments)
    steps = []
    for name, n, mentions, negative, neutral, positive, uncertain, effort, effort_n, *sums in connection.execute(
        sql, (*values, *segments.values)
    ):
        emotions = dict(zip(EMOTIONS, sums[: len(EMOTIONS)], strict=True))
        intents = dict(zip(INTENTS, sums[len(EMOTIONS) :], strict=True))
        promoters, passives, detractors = nps.get(name, (0, 0, 0))
        steps.append(
            StepCounts(
                name, n, mentions, negative, neutral, positive, uncertain, emotions, intents, int(effort), effort_n,
                promoters, passives, detractors,
            )
        )  # fmt: skip
    return steps


def _nps_by_step(
    connection: apsw.Connection, inner: str, values: tuple[object, ...], segments: Sql
) -> dict[str, tuple[int, int, int]]:
    """Promoters, passives and detractors among the mentions that speak of each step, each once."""
    sql = (
        f"WITH hit AS MATERIALIZED ({inner}) SELECT value, sum(nps >= 9), sum(nps >= 7 AND nps < 9), sum(nps < 7) "
        "FROM (SELECT DISTINCT w.value AS value, hit.key, hit.nps AS nps FROM hit "
        "JOIN segment s ON s.mention = hit.key JOIN word w ON w.id = s.step "
        f"WHERE hit.nps IS NOT NULL AND {segments.text}) GROUP BY value"
    )
    return {name: (a, b, c) for name, a, b, c in connection.execute(sql, (*values, *segments.values))}

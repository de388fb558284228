"""The query tree as SQL: a full-text expression that drives, conditions on rows, and leaves verified in memory.

Words of a query reach SQLite only inside quoted full-text strings or as bound values. A phrase with
slop, which FTS5 cannot decide, proposes candidates there and is decided by index.evaluate, the same code that
matches subscriptions.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import apsw

from index import ast
from index.document import Document
from index.embedded import columns
from index.embedded.database import rows
from index.embedded.expressions import LAST, Expressions
from index.evaluate import evaluate
from index.limits import LIMITS, Limits
from index.patterns import glob, literal_start
from listener.errors import QueryError
from listener.model import EMOTIONS, INTENTS, SENTIMENTS

_FLAGS = {
    "reply": columns.REPLY, "edited": columns.EDITED, "own": columns.OWN, "uncertain": columns.UNCERTAIN,
    "unanalysed": columns.UNANALYSED, "has_url": columns.HAS_URL,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sql:
    """A condition with its bound values."""

    text: str
    values: tuple[object, ...] = ()


@dataclass(slots=True)
class Plan:
    """How a query is run: `match` drives through full text where set; `where` are conditions on `m` (mention)."""

    match: str | None = None
    where: list[Sql] = field(default_factory=list)
    scoring: str | None = None  # all positive text leaves, for relevance
    boosts: list[tuple[str, float]] = field(default_factory=list)

    def select(
        self, wanted: str, *more: Sql, join: str = "", tail: str = "", rowid_only: bool = False
    ) -> tuple[str, tuple[object, ...]]:
        """A SELECT of `wanted` over the mentions found; `rowid_only`: it and `more` ask nothing of m but m.rowid."""
        conditions = [*self.where, *more]
        values = tuple(value for condition in conditions for value in condition.values)
        text = " AND ".join(condition.text for condition in conditions)
        if self.match is None:
            return f"SELECT {wanted} FROM mention m {join} WHERE {text or '1'} {tail}", values
        if rowid_only and not self.where and not join:
            return f"SELECT {wanted} FROM fts m WHERE fts MATCH ? {'AND ' + text if text else ''} {tail}", (
                self.match,
                *values,
            )
        return (
            f"SELECT {wanted} FROM fts CROSS JOIN mention m ON m.rowid = fts.rowid {join} "
            f"WHERE fts MATCH ? {'AND ' + text if text else ''} {tail}",
            (self.match, *values),
        )


class Compiler:
    """Compiles one tree for one connection, whose stored words it may need to look up."""

    def __init__(self, connection: apsw.Connection, now_ms: int, limits: Limits = LIMITS) -> None:
        self._connection, self._now_ms = connection, now_ms
        self._checks: list[ast.Node] = []
        self._words = Expressions(connection, limits)

    def plan(self, node: ast.Node) -> Plan:
        """The plan of a whole query."""
        plan = Plan()
        positive: list[str] = []
        negative: list[tuple[str, ast.Node]] = []
        rest: list[ast.Node] = []
        waiting = conjuncts(node)
        while waiting:
            item = waiting.pop(0)
            if isinstance(item, ast.Segments) and has_slop(item.item):
                waiting.extend(conjuncts(relaxed(item.item)))
                plan.where.append(self._verified(item))
            elif (expression := self._words.exactly(item)) is not None:
                positive.append(expression)
            elif isinstance(item, ast.Not) and (expression := self._words.exactly(item.item)) is not None:
                negative.append((expression, item))
            elif isinstance(item, ast.Phrase):
                positive.append(self._words.candidates(item))
                plan.where.append(self._verified(item))
            else:
                rest.append(item)
        if positive:
            plan.match = " AND ".join(f"({expression})" for expression in positive)
            for expression, _ in negative:
                plan.match = f"({plan.match}) NOT ({expression})"
        else:
            rest.extend(item for _, item in negative)
        for item in rest:
            condition = self._condition(item, top=plan.match is None)
            if plan.match is not None and isinstance(item, ast.Range) and item.field == "date":
                # asked of the full-text table itself, which then walks only that span
                condition = Sql(condition.text.replace("m.rowid", "fts.rowid"), condition.values)
            plan.where.append(condition)
        leaves = list(self._words.leaves(node))
        plan.scoring = " OR ".join(f"({leaf})" for leaf, _ in leaves) or None
        plan.boosts = [(leaf, factor) for leaf, factor in leaves if factor != 1.0]
        self._install_checks()
        return plan

    # --- rows -----------------------------------------------------------------------------------

    def _condition(self, node: ast.Node, *, top: bool = False) -> Sql:
        match node:
            case ast.All():
                return Sql("1")
            case ast.Boost(item, _):
                return self._condition(item, top=top)
            case ast.Not(item):
                inner = self._condition(item)
                return Sql(f"NOT ({inner.text})", inner.values)
            case ast.And(items) | ast.Or(items):
                word = " AND " if isinstance(node, ast.And) else " OR "
                parts = [self._condition(item) for item in items]
                values = tuple(value for part in parts for value in part.values)
                return Sql("(" + word.join(part.text for part in parts) + ")", values)
            case ast.Phrase(slop=slop) as phrase if slop:
                return _then(_in_full_text(self._words.candidates(phrase)), self._verified(phrase))
            case ast.Segments(item):
                return self._segments(item, top)
            case ast.Keyword(name, value, pattern):
                return self._keyword(name, value, pattern)
            case ast.Range():
                return _range(node)
            case ast.Exists(name):
                return self._exists(name)
            case ast.Flag(name):
                return self._flag(name)
        expression = self._words.exactly(node)
        if expression is None:
            raise QueryError(f"this engine cannot search for {type(node).__name__}")
        return _in_full_text(expression)

    def _keyword(self, name: str, value: str, pattern: bool) -> Sql:
        if name == "overall":
            return Sql("(m.overall IS NOT NULL AND m.overall = ?)", (SENTIMENTS.index(value),))
        if name == "author" and pattern:
            start = literal_start(value)
            return Sql(
                "(m.author IS NOT NULL AND m.author >= ? AND m.author < ? AND pattern(?, m.author))",
                (start, start + LAST, value),
            )
        if name == "author":
            return Sql("(m.author IS NOT NULL AND m.author = ?)", (value,))
        if name in ("case", "owner"):
            column = "state" if name == "case" else "owner_folded"
            comparison = f"pattern(?, t.{column})" if pattern else f"t.{column} = ?"
            return Sql(f"EXISTS (SELECT 1 FROM triage t WHERE t.mention = m.id AND {comparison})", (value,))
        codes = self._codes(name, value, pattern)
        return Sql(f"(m.{name} IS NOT NULL AND m.{name} IN ({codes}))") if codes else Sql("0")

    def _codes(self, name: str, value: str, pattern: bool) -> str:
        found = rows(self._connection, "SELECT id, folded FROM word WHERE field = ?", name)
        return ",".join(str(code) for code, folded in found if (glob(value, folded) if pattern else value == folded))

    def _flag(self, name: str) -> Sql:
        if name in _FLAGS:
            return Sql(f"m.flags & {_FLAGS[name]} != 0")
        if name == "has_rating":
            return Sql("m.rating IS NOT NULL")
        if name == "has_case":
            return Sql("EXISTS (SELECT 1 FROM triage t WHERE t.mention = m.id)")
        return Sql(  # overdue: an open case past its time
            "EXISTS (SELECT 1 FROM triage t WHERE t.mention = m.id AND t.state IN ('new', 'assigned') "
            "AND t.due IS NOT NULL AND t.due < ?)",
            (self._now_ms,),
        )

    def _exists(self, name: str) -> Sql:
        if name in ast.TEXT_FIELDS:
            return Sql(f"m.flags & {columns.HAS_TEXT if name == 'text' else columns.HAS_TITLE} != 0")
        if name in ("case", "owner"):
            more = "" if name == "case" else " AND t.owner_folded IS NOT NULL"
            return Sql(f"EXISTS (SELECT 1 FROM triage t WHERE t.mention = m.id{more})")
        column = {"date": "published"}.get(name, name)
        return Sql(f"m.{column} IS NOT NULL")

    # --- segments -------------------------------------------------------------------------------

    def _segments(self, item: ast.Node, top: bool) -> Sql:
        if has_slop(item):
            return _then(self._condition(relaxed(item)), self._verified(ast.Segments(item)))
        inner = self._segment(item)
        if top:
            return Sql(f"m.rowid IN (SELECT s.mention FROM segment s WHERE {inner.text})", inner.values)
        return Sql(f"EXISTS (SELECT 1 FROM segment s WHERE s.mention = m.rowid AND {inner.text})", inner.values)

    def segment_condition(self, item: ast.Node) -> Sql:
        """The conditions of `segments:( )` on one row of table `segment`."""
        return self._segment(item)

    def _segment(self, node: ast.Node) -> Sql:
        match node:
            case ast.All():
                return Sql("1")
            case ast.Boost(item, _):
                return self._segment(item)
            case ast.Not(item):
                inner = self._segment(item)
                return Sql(f"NOT ({inner.text})", inner.values)
            case ast.And(items) | ast.Or(items):
                word = " AND " if isinstance(node, ast.And) else " OR "
                parts = [self._segment(item) for item in items]
                return Sql("(" + word.join(p.text for p in parts) + ")", tuple(v for p in parts for v in p.values))
            case ast.Keyword("step", value, pattern):
                codes = self._codes("step", value, pattern)
                return Sql(f"s.step IN ({codes})") if codes else Sql("0")
            case ast.Keyword("sentiment", value, _):
                return Sql("s.sentiment = ?", (SENTIMENTS.index(value),))
            case ast.Keyword("emotion", value, _):
                return Sql(f"s.emotions & {1 << EMOTIONS.index(value)} != 0")
            case ast.Keyword("intent", value, _):
                bit = 1 << INTENTS.index(value)
                rare = " AND s.intents & 112 != 0" if bit & 112 else ""  # lets the index of rare intents serve
                return Sql(f"(s.intents & {bit} != 0{rare})")
            case ast.Range("effort"):
                return _range(node, "s")
            case ast.Exists(name):
                column = {"emotion": "s.emotions != 0", "intent": "s.intents != 0", "effort": "s.effort IS NOT NULL"}
                return Sql(column.get(name, "1"))
        if not isinstance(node, ast.Phrase | ast.Prefix | ast.Wildcard | ast.Fuzzy):
            raise QueryError(f"segments:( ) cannot hold {type(node).__name__}")
        expression = self._words.exactly(replace(node, fields=("text",)))
        if expression is None or "text" not in node.fields:
            return Sql("0")
        return Sql("s.id IN (SELECT rowid FROM segment_fts WHERE segment_fts MATCH ?)", (expression,))

    # --- verification ---------------------------------------------------------------------------

    def _verified(self, leaf: ast.Node) -> Sql:
        self._checks.append(leaf)
        return Sql("verified(?, m.rowid)", (len(self._checks) - 1,))

    def _install_checks(self) -> None:
        if self._checks:
            self._connection.create_scalar_function("verified", self._verifier(), 2)  # type: ignore[arg-type]  # as above

    def _verifier(self) -> Callable[[int, int], int]:
        from index.embedded.store import record_of_body

        checks, connection = self._checks, self._connection
        held: list[tuple[int, Document]] = []

        def verified(check: int, rowid: int) -> int:
            if not held or held[0][0] != rowid:
                held[:] = [(rowid, Document(record_of_body(connection, rowid)))]
            return int(evaluate(checks[check], held[0][1]))

        return verified


def conjuncts(node: ast.Node) -> list[ast.Node]:
    """The parts that must all hold."""
    if isinstance(node, ast.And):
        return [part for item in node.items for part in conjuncts(item)]
    return [] if isinstance(node, ast.All) else [node]


def has_slop(node: ast.Node) -> bool:
    """Whether any leaf is a phrase with slop, which only positions can decide."""
    match node:
        case ast.And(items) | ast.Or(items):
            return any(has_slop(item) for item in items)
        case ast.Not(item) | ast.Boost(item, _) | ast.Segments(item):
            return has_slop(item)
    return isinstance(node, ast.Phrase) and node.slop > 0


def relaxed(node: ast.Node) -> ast.Node:
    """What a mention must have for one of its segments to meet the node: a superset, negations dropped."""
    match node:
        case ast.And(items):
            return ast.And(tuple(relaxed(item) for item in items))
        case ast.Or(items):
            return ast.Or(tuple(relaxed(item) for item in items))
        case ast.Boost(item, _):
            return relaxed(item)
        case ast.Not():
            return ast.All()
        case ast.Phrase(fields, exact, words, slop) if slop:
            return ast.And(tuple(ast.Phrase(fields, (e,), (w,)) for e, w in zip(exact, words, strict=True)))
        case ast.Phrase() | ast.Prefix() | ast.Wildcard() | ast.Fuzzy() | ast.All():
            return node
    return ast.Segments(node)


def _then(cheap: Sql, dear: Sql) -> Sql:
    """Both, the second asked only where the first holds: SQLite keeps the order of a CASE."""
    return Sql(f"CASE WHEN {cheap.text} THEN {dear.text} ELSE 0 END", (*cheap.values, *dear.values))


def _in_full_text(expression: str) -> Sql:
    return Sql("m.rowid IN (SELECT rowid FROM fts WHERE fts MATCH ?)", (expression,))


def prepare(connection: apsw.Connection) -> None:
    """Give a connection the function that compiled queries call."""

    def pattern(wanted: str, value: str | None) -> int:
        return int(value is not None and glob(wanted, value))

    connection.create_scalar_function("pattern", pattern, 2, deterministic=True)  # type: ignore[arg-type]  # apsw's type is any SQL value


def _range(node: ast.Range, table: str = "m") -> Sql:
    if node.field == "date":
        low = None if node.low is None else node.low + (not node.include_low)
        high = None if node.high is None else node.high - (not node.include_high)
        first, last = columns.key_range(low, high)
        return Sql("m.rowid BETWEEN ? AND ?", (first, last))
    column = f"{table}.{node.field}"
    parts, values = [f"{column} IS NOT NULL"], []
    if node.low is not None:
        parts.append(f"{column} {'>=' if node.include_low else '>'} ?")
        values.append(node.low)
    if node.high is not None:
        parts.append(f"{column} {'<=' if node.include_high else '<'} ?")
        values.append(node.high)
    return Sql("(" + " AND ".join(parts) + ")", tuple(values))

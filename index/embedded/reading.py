"""Search: pages by a key that holds no server state, relevance, meaning, both fused, export."""

import base64
import binascii
import hashlib
import heapq
import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import apsw
import numpy as np

from index import ast
from index.contract import SORTS, Hit, Hits, Search
from index.document import Document
from index.embedded.compile import Compiler, Plan, Sql
from index.embedded.database import row, rows
from index.embedded.store import Store, id_bytes, read_record, record_of_row
from index.embedded.vectors import VectorScan
from index.evaluate import highlights
from index.limits import LIMITS
from index.query import without_words
from listener.errors import InputError, NotFoundError
from listener.model import Record, to_ms

_FUSION = 60  # the constant of reciprocal rank fusion
_COLUMNS = {"received": "m.received", "rating": "m.rating", "followers": "m.followers"}
_ANY_DATE = 1 << 62


class Reading(Store):
    """The reads that find mentions."""

    def __init__(self) -> None:
        super().__init__()
        self._scan = VectorScan()

    async def search(self, search: Search, now: datetime) -> Hits:
        """One page of what a query finds."""
        node = self.parsed(search.query, now, search.timezone)
        if search.sort not in SORTS:
            raise InputError(f"unknown sort {search.sort!r}: one of {', '.join(SORTS)}")
        if search.mode not in ("text", "meaning", "hybrid"):
            raise InputError(f"unknown mode {search.mode!r}: text, meaning or hybrid")
        if search.mode != "text" and search.vector is None:
            raise InputError(f"mode {search.mode} needs the vector of the query's words")
        if not 1 <= search.size <= LIMITS.page_size:
            raise InputError(f"size is 1 to {LIMITS.page_size}, not {search.size}")
        work = self._ranked_page if _is_ranked(search) else self._sorted_page
        if search.mode != "text":
            await self._db.read(self._scan.refresh, None)
        return await self._db.read(lambda connection: work(connection, node, search, to_ms(now)), LIMITS.seconds)

    async def neighbours(self, mention_id: str, size: int, query: str = "", *, now: datetime) -> list[Hit]:
        """The mentions nearest in meaning to a stored one, itself left out."""
        node = self.parsed(query, now, self.timezone)

        def look(connection: apsw.Connection) -> list[Hit]:
            found = read_record(connection, id_bytes(mention_id))
            if found is None:
                raise NotFoundError(f"there is no mention {mention_id}")
            key, record = found
            if record.analysis is None or record.analysis.vector is None:
                return []
            allowed = self._allowed(connection, node, to_ms(now))
            near = self._scan.nearest(connection, record.analysis.vector, size + 1, allowed)
            near = [(other, score) for other, score in near if other != key][:size]
            return _hits(connection, [k for k, _ in near], ast.All(), dict(near), highlight=False)

        await self._db.read(self._scan.refresh, None)
        return await self._db.read(look, LIMITS.seconds)

    async def export(self, query: str, now: datetime, timezone: str = "UTC") -> AsyncIterator[Record]:
        """Everything a query finds, newest first, in bounded memory; each chunk is a snapshot of its own."""
        node = self.parsed(query, now, timezone)
        below = _ANY_DATE

        def chunk(connection: apsw.Connection) -> list[tuple[int, Record]]:
            plan = Compiler(connection, to_ms(now)).plan(node)
            sql, values = plan.select("m.rowid", Sql("m.rowid < ?", (below,)), tail="ORDER BY m.rowid DESC LIMIT 500")
            keys = [key for (key,) in connection.execute(sql, values)]
            return [(key, record) for key, record in _read(connection, keys).items()]

        while found := await self._db.read(chunk, None):
            for key, record in found:
                below = key
                yield record

    async def select(self, query: str, now: datetime, after: str | None = None, limit: int = 1000) -> list[Record]:
        """Records found in the order of their ids, after that id."""
        node = self.parsed(query, now, self.timezone)
        start = id_bytes(after) if after else b""

        def look(connection: apsw.Connection) -> list[Record]:
            plan = Compiler(connection, to_ms(now)).plan(node)
            sql, values = plan.select("m.rowid", Sql("m.id > ?", (start,)), tail=f"ORDER BY m.id LIMIT {int(limit)}")
            keys = [key for (key,) in connection.execute(sql, values)]
            return list(_read(connection, keys).values())

        return await self._db.read(look, None)

    # --- pages ----------------------------------------------------------------------------------

    def _sorted_page(self, connection: apsw.Connection, node: ast.Node, search: Search, now_ms: int) -> Hits:
        plan = Compiler(connection, now_ms).plan(node)
        falling, name = search.sort.startswith("-"), search.sort.lstrip("-")
        token = _open_token(search)
        if token is None:
            total, bound, after = _count(connection, plan), None, None
        else:
            total, bound, after = token["total"], token["bound"], token["after"]
        more = [] if bound is None else [Sql("m.received <= ?", (bound,))]
        if after is not None:
            more.append(_after(name, falling, after))
        way = "DESC" if falling else "ASC"
        column = _COLUMNS.get(name)
        order = f"ORDER BY {column} IS NULL, {column} {way}, m.rowid {way}" if column else f"ORDER BY m.rowid {way}"
        wanted = f"m.rowid, {column or 'NULL'}"
        sql, values = plan.select(
            wanted, *more, tail=f"{order} LIMIT {search.size + 1}", rowid_only=column is None and not more
        )
        found = rows(connection, sql, *values)
        page = found[: search.size]
        following = None
        if len(found) > search.size:
            if bound is None:
                (newest,) = row(connection, "SELECT max(received) FROM mention") or (now_ms,)
                bound = max(now_ms, newest or 0) if token is None else bound
            following = _token(search, {"total": total, "bound": bound, "after": [page[-1][1], page[-1][0]]})
        keys = [key for key, _ in page]
        return Hits(total, tuple(_hits(connection, keys, node, {}, search.highlight)), following)

    def _ranked_page(self, connection: apsw.Connection, node: ast.Node, search: Search, now_ms: int) -> Hits:
        """Relevance, meaning and hybrid: a list of at most 1,000, made anew for each page, walked by position."""
        token = _open_token(search) or {"position": 0}
        window = LIMITS.relevance_window
        if search.mode == "text":
            total, scores = _relevance(connection, Compiler(connection, now_ms).plan(node), window)
        else:
            allowed = self._allowed(connection, without_words(node), now_ms)
            wanted = max(search.size + token["position"] + 1, 100)
            near = self._scan.nearest(connection, search.vector or b"", min(wanted, window), allowed)
            if search.mode == "meaning":
                total = self._scan.count if allowed is None else len(allowed)
                scores = near
            else:
                found, ranked = _relevance(connection, Compiler(connection, now_ms).plan(node), window)
                scores = _fused([key for key, _ in ranked], [key for key, _ in near])
                total = max(found, len(scores))
        start = token["position"]
        page = scores[start : start + search.size]
        more = len(scores) > start + search.size
        following = _token(search, {"position": start + search.size}) if more else None
        return Hits(
            total, tuple(_hits(connection, [key for key, _ in page], node, dict(page), search.highlight)), following
        )

    def _allowed(self, connection: apsw.Connection, node: ast.Node, now_ms: int) -> Any:
        """The rowids a filter allows, None for all."""
        if isinstance(node, ast.All):
            return None
        sql, values = Compiler(connection, now_ms).plan(node).select("m.rowid", rowid_only=True)
        return np.fromiter((key for (key,) in connection.execute(sql, values)), np.int64)


def _count(connection: apsw.Connection, plan: Plan) -> int:
    sql, values = plan.select("count(*)", rowid_only=True)
    return int(rows(connection, sql, *values)[0][0])


def _relevance(connection: apsw.Connection, plan: Plan, window: int) -> tuple[int, list[tuple[int, float]]]:
    """How many match, and the best: by bm25 with boosts, then, where no word decides, the newest."""
    scores: dict[int, float] = {}
    total = None
    if plan.match is not None and plan.where:  # one walk gives the scores and the total
        sql, values = plan.select("m.rowid, -rank")
        found = rows(connection, sql, *values)
        total = len(found)
        scores = dict(heapq.nlargest(window, found, key=lambda item: (item[1], item[0])))
    elif plan.match is not None:
        last = f"SELECT rowid FROM fts WHERE fts MATCH ? ORDER BY rowid DESC LIMIT 1 OFFSET {LIMITS.scored}"
        since = row(connection, last, plan.match)
        newer = [] if since is None else [Sql("m.rowid > ?", since)]
        sql, values = plan.select("m.rowid, -rank", *newer, tail=f"ORDER BY rank LIMIT {window}", rowid_only=True)
        scores = dict(rows(connection, sql, *values))
    elif plan.scoring is not None:
        inner, values = plan.select("m.rowid", rowid_only=True)
        # the plus keeps SQLite from asking the full-text table once per rowid
        sql = f"SELECT rowid, -rank FROM fts WHERE fts MATCH ? AND +rowid IN ({inner}) ORDER BY rank LIMIT {window}"
        scores = dict(rows(connection, sql, plan.scoring, *values))
    _boost(connection, plan, scores)
    ranked = sorted(scores.items(), key=lambda item: (-item[1], -item[0]))
    if total is None:
        total = len(ranked) if 0 < len(ranked) < window and plan.match is not None else _count(connection, plan)
    if len(ranked) < min(window, total):
        sql, values = plan.select("m.rowid", tail=f"ORDER BY m.rowid DESC LIMIT {window}", rowid_only=True)
        ranked += [(key, 0.0) for (key,) in rows(connection, sql, *values) if key not in scores]
    return total, ranked[:window]


def _boost(connection: apsw.Connection, plan: Plan, scores: dict[int, float]) -> None:
    """Add what the boosted words weigh above one."""
    keys = ",".join(str(key) for key in scores)
    sql = f"SELECT rowid, -rank FROM fts WHERE fts MATCH ? AND +rowid IN ({keys})"
    for expression, factor in plan.boosts if scores else ():
        for key, score in rows(connection, sql, expression):
            scores[key] += (factor - 1.0) * score


def _fused(first: Sequence[int], second: Sequence[int]) -> list[tuple[int, float]]:
    """Reciprocal rank fusion of two rankings."""
    scores: dict[int, float] = {}
    for ranking in (first, second):
        for position, key in enumerate(ranking, 1):
            scores[key] = scores.get(key, 0.0) + 1.0 / (_FUSION + position)
    return sorted(scores.items(), key=lambda item: (-item[1], -item[0]))


def _after(name: str, falling: bool, after: list[Any]) -> Sql:
    value, key = after
    sign = "<" if falling else ">"
    column = _COLUMNS.get(name)
    if column is None:
        return Sql(f"m.rowid {sign} ?", (key,))
    if value is None:
        return Sql(f"({column} IS NULL AND m.rowid {sign} ?)", (key,))
    return Sql(f"({column} IS NULL OR {column} {sign} ? OR ({column} = ? AND m.rowid {sign} ?))", (value, value, key))


def _signature(search: Search) -> str:
    asked = "\x00".join((search.query, search.mode, search.sort, search.timezone))
    return hashlib.sha256(asked.encode("utf8", "surrogatepass")).hexdigest()[:16]


def _token(search: Search, state: dict[str, Any]) -> str:
    text = json.dumps([_signature(search), state], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _open_token(search: Search) -> dict[str, Any] | None:
    if not search.page:
        return None
    try:
        padded = search.page + "=" * (-len(search.page) % 4)
        signature, state = json.loads(base64.urlsafe_b64decode(padded))
        sound = _is_state(state, _is_ranked(search))
    except (ValueError, binascii.Error, RecursionError):
        signature, state, sound = None, {}, False
    if not sound:
        raise InputError("the page token is damaged: start again without it")
    if signature != _signature(search):
        raise InputError("the page token belongs to another search: start again without it")
    return dict(state)


def _is_ranked(search: Search) -> bool:
    return search.mode != "text" or search.sort == "relevance"


def _is_state(state: Any, ranked: bool) -> bool:
    """Whether a token holds what we write into one: anybody can make one up."""
    if not isinstance(state, dict):
        return False
    if ranked:
        place = state.get("position")
        return len(state) == 1 and type(place) is int and 0 <= place <= LIMITS.relevance_window
    after = state.get("after")
    if set(state) != {"total", "bound", "after"} or not isinstance(after, list) or len(after) != 2:
        return False
    numbers = (state["total"], state["bound"], after[1])
    sound = all(type(number) is int and abs(number) < 1 << 63 for number in numbers)
    return sound and (after[0] is None or (type(after[0]) in (int, float) and abs(after[0]) < 1 << 63))


def _read(connection: apsw.Connection, keys: Sequence[int]) -> dict[int, Record]:
    """The records of these rowids, in their order."""
    listed = ",".join(str(key) for key in keys)
    found = rows(
        connection,
        "SELECT m.rowid, b.mention, b.analysis, v.value FROM mention m JOIN body b ON b.id = m.body "
        f"LEFT JOIN vector v ON v.id = m.vector WHERE m.rowid IN ({listed})",
    )
    by_key = {key: record_of_row(*values) for key, *values in found}
    return {key: by_key[key] for key in keys if key in by_key}


def _hits(
    connection: apsw.Connection, keys: Sequence[int], node: ast.Node, scores: dict[int, float], highlight: bool
) -> list[Hit]:
    return [
        Hit(record, tuple(highlights(node, Document(record))) if highlight else (), scores.get(key))
        for key, record in _read(connection, keys).items()
    ]

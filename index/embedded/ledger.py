"""The records of sources: cursors, states, gaps, dead letters, the inbox, small settings."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import apsw

from index.contract import Batch, DeadLetter, SourceState
from index.embedded.database import Database, row, rows
from listener.errors import NotFoundError, Overloaded
from listener.model import Gap, Reject, from_ms, to_ms

_SETTING = "setting:"
_REMEMBERED_MS = 7 * 86_400_000  # a settled push that comes again within it is not stored again
_RETRY_AFTER = 5.0  # seconds a push waits when the inbox is full


def write_page(connection: apsw.Connection, batch: Batch) -> int:
    """Write what a page brings beside mentions, inside the caller's transaction; gives the new rejects.

    Rejects become dead letters, once per source, place and bytes; gaps are kept once; inbox entries that the
    page settles go; the cursor, where the page has one, and the source's last success follow.
    """
    page, now = batch.page, to_ms(batch.now)
    rejects = sum(_add_dead_letter(connection, batch.source, reject, now) for reject in page.rejects)
    for gap in page.gaps:
        _add_gap(connection, gap)
    if page.inbox:
        _settle(connection, page.inbox, now)
    newest = max((to_ms(mention.published_at) for mention in page.mentions), default=None)
    connection.execute(
        "INSERT INTO source(name, cursor, last_success, rejects, newest) VALUES (?,?,?,?,?) "
        "ON CONFLICT(name) DO UPDATE SET cursor = coalesce(excluded.cursor, cursor), "
        "last_success = max(coalesce(last_success, excluded.last_success), excluded.last_success), "
        "rejects = rejects + excluded.rejects, newest = " + _LATER_NEWEST,
        (batch.source, page.cursor, now, rejects, newest),
    )
    return rejects


def _settle(connection: apsw.Connection, entries: Sequence[int], now_ms: int) -> None:
    """Take pushes out of the inbox and remember that they came: senders repeat what they are unsure of."""
    marks = ",".join("?" * len(entries))
    for source, event in rows(connection, f"SELECT source, event FROM inbox WHERE id IN ({marks})", *entries):
        connection.execute("INSERT OR REPLACE INTO inbox_settled VALUES (?,?)", (_digest(source, event), now_ms))
    connection.execute(f"DELETE FROM inbox WHERE id IN ({marks})", tuple(entries))
    connection.execute("DELETE FROM inbox_settled WHERE at < ?", (now_ms - _REMEMBERED_MS,))


def _digest(source: str, event: str) -> bytes:
    return hashlib.sha256(f"{source}\x00{event}".encode("utf8", "surrogatepass")).digest()[:16]


def count_mentions(connection: apsw.Connection, source: str, n: int, newest_ms: int | None) -> None:
    """Add `n` new mentions, the latest published at `newest_ms`, to a source's counts."""
    connection.execute(
        "INSERT INTO source(name, mentions, newest) VALUES (?,?,?) ON CONFLICT(name) DO UPDATE SET "
        "mentions = mentions + excluded.mentions, newest = " + _LATER_NEWEST,
        (source, n, newest_ms),
    )


# max() of SQLite is NULL as soon as one side is
_LATER_NEWEST = "max(coalesce(newest, excluded.newest), coalesce(excluded.newest, newest))"


class Ledger:
    """The part of the embedded engine that keeps the records of sources."""

    _db: Database
    inbox_limit: int

    async def cursor(self, source: str) -> str | None:
        """The cursor stored with the source's last page."""

        def look(connection: apsw.Connection) -> str | None:
            found = row(connection, "SELECT cursor FROM source WHERE name = ?", source)
            return found[0] if found else None

        return await self._db.read(look, None)

    async def source_states(self) -> dict[str, SourceState]:
        """The state of every source that ever ran."""

        def look(connection: apsw.Connection) -> dict[str, SourceState]:
            found = rows(
                connection,
                "SELECT name, state, detail, last_success, next_try, mentions, rejects, newest FROM source "
                "ORDER BY name",
            )
            return {
                name: SourceState(name, state, detail, _at(success), _at(next_try), mentions, rejects, _at(newest))
                for name, state, detail, success, next_try, mentions, rejects, newest in found
            }

        return await self._db.read(look, None)

    async def put_source_state(self, state: SourceState) -> None:
        """Write a source's state; counts are kept by `save`, and known times never fall back."""
        values = (
            state.source, state.state, state.detail, _ms(state.last_success_at), _ms(state.next_try_at),
            _ms(state.newest_at),
        )  # fmt: skip
        await self._db.write(
            lambda connection: connection.execute(
                "INSERT INTO source(name, state, detail, last_success, next_try, newest) VALUES (?,?,?,?,?,?) "
                "ON CONFLICT(name) DO UPDATE SET state = excluded.state, detail = excluded.detail, last_success = "
                "max(coalesce(last_success, excluded.last_success), coalesce(excluded.last_success, last_success)), "
                "next_try = excluded.next_try, newest = " + _LATER_NEWEST,
                values,
            )
        )

    async def reset_source(self, source: str) -> None:
        """Forget the cursor and lift a quarantine; mentions stay."""
        await self._db.write(
            lambda connection: connection.execute(
                "UPDATE source SET cursor = NULL, state = 'new', detail = '', next_try = NULL WHERE name = ?", (source,)
            )
        )

    async def add_gap(self, gap: Gap) -> int:
        """Open or add a gap, or close the open one it continues; gives its id."""
        return await self._db.write(lambda connection: _add_gap(connection, gap))

    async def close_gap(self, gap_id: int, end: datetime) -> None:
        """The gap ended then. Raises NotFoundError."""
        await self._db.write(
            lambda connection: _change_one(
                connection, "gap", gap_id, 'UPDATE gap SET "end" = ? WHERE id = ?', (to_ms(end), gap_id)
            )
        )

    async def gaps(self, source: str | None = None) -> list[Gap]:
        """The gap ledger, newest first."""
        sql = (
            'SELECT source, start, "end", reason, id FROM gap WHERE ? IS NULL OR source = ? '
            "ORDER BY start DESC, id DESC"
        )
        found = await self._db.read(lambda connection: rows(connection, sql, source, source))
        return [Gap(name, from_ms(start), _at(end), reason, number) for name, start, end, reason, number in found]

    async def dead_letters(self, source: str | None = None, limit: int = 100, *, all: bool = False) -> list[DeadLetter]:
        """Dead letters, oldest first; with `all` those replayed too."""
        where = "(? IS NULL OR source = ?) AND (? OR replayed IS NULL) ORDER BY id LIMIT ?"
        return await self._letters(where, source, source, all, limit)

    async def dead_letter(self, dead_letter_id: int) -> DeadLetter:
        """One dead letter. Raises NotFoundError."""
        found = await self._letters("id = ?", dead_letter_id)
        if not found:
            raise NotFoundError(f"there is no dead letter {dead_letter_id}")
        return found[0]

    async def _letters(self, where: str, *values: object) -> list[DeadLetter]:
        sql = f"SELECT id, source, at, place, reason, raw, replayed FROM dead_letter WHERE {where}"
        found = await self._db.read(lambda connection: rows(connection, sql, *values))
        return [
            DeadLetter(number, name, from_ms(at), place, reason, raw, _at(replayed))
            for number, name, at, place, reason, raw, replayed in found
        ]

    async def dead_letter_replayed(self, dead_letter_id: int, now: datetime) -> None:
        """Mark it as replayed with success; its raw bytes are dropped. Raises NotFoundError.

        Its digest stays, so that a repeat of its page does not bring it back.
        """
        await self._db.write(
            lambda connection: _change_one(
                connection, "dead letter", dead_letter_id,
                "UPDATE dead_letter SET replayed = coalesce(replayed, ?), raw = x'' WHERE id = ?",
                (to_ms(now), dead_letter_id),
            )
        )  # fmt: skip

    async def inbox_put(self, source: str, event_id: str, body: bytes, received_at: datetime) -> bool:
        """Keep a push; False when it is there already; Overloaded when the inbox is full."""

        def put(connection: apsw.Connection) -> bool:
            waits = row(connection, "SELECT 1 FROM inbox WHERE source = ? AND event = ?", source, event_id)
            if waits or row(connection, "SELECT 1 FROM inbox_settled WHERE digest = ?", _digest(source, event_id)):
                return False
            if _is_full(connection, source, self.inbox_limit):
                raise Overloaded(f"{self.inbox_limit} pushes of {source} wait already", retry_after=_RETRY_AFTER)
            connection.execute(
                "INSERT INTO inbox(source, event, body, received) VALUES (?,?,?,?)",
                (source, event_id, body, to_ms(received_at)),
            )
            return True

        return await self._db.write(put)

    async def inbox_take(self, source: str, limit: int) -> list[tuple[int, str, bytes, datetime]]:
        """The oldest pushes (id, event id, body, received); they stay until a batch's page names them."""
        sql = "SELECT id, event, body, received FROM inbox WHERE source = ? ORDER BY id LIMIT ?"
        found = await self._db.read(lambda connection: rows(connection, sql, source, limit), None)
        return [(entry, event, body, from_ms(received)) for entry, event, body, received in found]

    async def settings(self) -> Mapping[str, str]:
        """Small values kept with the store."""
        sql = "SELECT substr(key, ?), value FROM meta WHERE substr(key, 1, ?) = ?"
        length = len(_SETTING)
        return dict(await self._db.read(lambda connection: rows(connection, sql, length + 1, length, _SETTING), None))

    async def put_setting(self, key: str, value: str | None) -> None:
        """Keep or forget a small value."""

        def put(connection: apsw.Connection) -> None:
            if value is None:
                connection.execute("DELETE FROM meta WHERE key = ?", (_SETTING + key,))
            else:
                connection.execute("INSERT OR REPLACE INTO meta(key, value) VALUES (?,?)", (_SETTING + key, value))

        await self._db.write(put)


def _add_dead_letter(connection: apsw.Connection, source: str, reject: Reject, now_ms: int) -> int:
    connection.execute(
        "INSERT INTO dead_letter(source, at, place, reason, raw, digest) VALUES (?,?,?,?,?,?) "
        "ON CONFLICT(source, place, digest) DO NOTHING",
        (source, now_ms, reject.where, reject.reason, reject.raw, hashlib.sha256(reject.raw).digest()),
    )
    return connection.changes()


def _add_gap(connection: apsw.Connection, gap: Gap) -> int:
    start, end = to_ms(gap.start), _ms(gap.end)
    found = row(
        connection,
        'SELECT id, "end" FROM gap WHERE source = ? AND start = ? AND reason = ? AND ("end" IS NULL OR "end" IS ?) '
        'ORDER BY "end" IS ? DESC LIMIT 1',
        gap.source, start, gap.reason, end, end,
    )  # fmt: skip
    if found is None:
        connection.execute(
            'INSERT INTO gap(source, start, "end", reason) VALUES (?,?,?,?)', (gap.source, start, end, gap.reason)
        )
        return connection.last_insert_rowid()
    if found[1] != end:
        connection.execute('UPDATE gap SET "end" = ? WHERE id = ?', (end, found[0]))
    return int(found[0])


def _is_full(connection: apsw.Connection, source: str, limit: int) -> bool:
    """Whether `limit` pushes of a source wait: the span of all ids tells at once while few do."""
    last, first = rows(connection, "SELECT (SELECT max(id) FROM inbox), (SELECT min(id) FROM inbox)")[0]
    if last is None or last - first + 1 < limit:
        return limit <= 0
    return bool(rows(connection, "SELECT count(*) FROM inbox WHERE source = ?", source)[0][0] >= limit)


def _change_one(connection: apsw.Connection, what: str, number: int, sql: str, values: tuple[Any, ...]) -> None:
    connection.execute(sql, values)
    if not connection.changes():
        raise NotFoundError(f"there is no {what} {number}")


def _at(ms: int | None) -> datetime | None:
    return None if ms is None else from_ms(ms)


def _ms(at: datetime | None) -> int | None:
    return None if at is None else to_ms(at)

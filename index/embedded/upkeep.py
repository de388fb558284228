"""The whole store: erasing an author, expiry, the bytes that removals leave, backup, status."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import apsw

from index import tokens
from index.contract import Status
from index.embedded import leftovers
from index.embedded.alerting import load_subscriptions
from index.embedded.author import by_author, payloads_naming
from index.embedded.columns import ANALYSED, FAILED, WAITING, key_range
from index.embedded.database import Database, row, rows, translated
from index.embedded.schema import VERSION
from index.embedded.store import remove
from index.engine import Progress
from listener.errors import InputError, PermanentError, QueryError
from listener.model import to_ms

CHUNK = 500  # mentions removed in one transaction: other writes pass between two
_BACKUP_PAGES = 2_000  # copied in one step
_REMOVED, _UNFINISHED = "scrub", "scrub:unfinished"  # counters in `meta`, gone once no byte is left


def forget(connection: apsw.Connection, ids: Sequence[bytes]) -> None:
    """Remove what hangs on mentions, in the caller's transaction: versions, evidence, cases, corrections.

    An alert that loses all its evidence stays as an empty shell, and is not delivered any more. The bytes may
    stand in free space until the next `scrub`.
    """
    for start in range(0, len(ids), CHUNK):
        some = tuple(ids[start : start + CHUNK])
        marks = ",".join("?" * len(some))
        alerts = rows(connection, f"SELECT DISTINCT alert FROM evidence WHERE mention IN ({marks})", *some)
        connection.execute(f"DELETE FROM evidence WHERE mention IN ({marks})", some)
        connection.execute(f"DELETE FROM version WHERE id IN ({marks})", some)
        connection.execute(f"DELETE FROM triage WHERE mention IN ({marks})", some)
        connection.execute(f"DELETE FROM correction WHERE mention IN ({marks})", some)
        for (alert,) in alerts:
            if row(connection, "SELECT 1 FROM evidence WHERE alert = ?", alert) is None:
                _empty_shell(connection, alert)
    _mark(connection, _REMOVED)


class Upkeep:
    """The part of the embedded engine that removes, copies and looks after the store."""

    _db: Database
    timezone: str

    async def erase(self, author: str, progress: Progress | None = None) -> int:
        """Remove an author (handle, id or pseudonym) and all they wrote, everywhere; gives how many mentions.

        A mention counts as theirs by handle, by the name where there is no handle, by the platform's id, by what
        an earlier version said, or by the id that one of these has at the same source. Tombstones keep a
        repeat of the same versions out. Dead letters and inbox entries go where their bytes hold the name given,
        or a handle or id found with it. Raises InputError for an empty name, TemporaryError where a long read
        holds the log (everything is removed then; repeat to clean the bytes).
        """
        if not tokens.fold(author).lstrip("@"):
            raise InputError("say whom to erase: a handle, an author's id or a pseudonym")
        removed = 0
        while True:  # until nothing is found, since the service may store more meanwhile
            ids, names = await self._db.read(partial(by_author, author=author), None)
            payloads = await self._db.read(partial(payloads_naming, names=names), None)
            if payloads:
                await self._db.write(partial(_remove_payloads, payloads=payloads))
            if not ids:
                break
            total = removed + len(ids)
            for start in range(0, len(ids), CHUNK):
                removed += await self._db.write(partial(_remove_mentions, ids=ids[start : start + CHUNK]))
                if progress:
                    progress(removed, total)
        await self.scrub(unfinished=True)
        return removed

    async def expire(self, before: datetime, sources: Sequence[str] = (), progress: Progress | None = None) -> int:
        """Remove mentions published before then, of these sources or of all; gives how many.

        Dead letters and inbox entries received before then go too, and the delivery log where no sources are named.
        Raises TemporaryError like `erase`.
        """
        end = to_ms(before)
        last = key_range(None, end)[1]  # a key may stand a little late, never early
        condition, values = "rowid > ? AND rowid <= ? AND published < ?", [last, end, *sources]
        if sources:
            names = ",".join("?" * len(sources))
            condition += f" AND source IN (SELECT id FROM word WHERE field = 'source' AND value IN ({names}))"
        after, removed = -(1 << 63), 0
        counted = f"SELECT count(*) FROM mention WHERE {condition}"
        total = (await self._db.read(lambda connection: rows(connection, counted, after, *values), None))[0][0]

        def remove_some(connection: apsw.Connection, after: int) -> tuple[int, int]:
            sql = f"SELECT rowid, id FROM mention WHERE {condition} ORDER BY rowid LIMIT {CHUNK}"
            found = rows(connection, sql, after, *values)
            return (found[-1][0], _remove_mentions(connection, [item[1] for item in found])) if found else (after, 0)

        while True:
            after, n = await self._db.write(partial(remove_some, after=after))
            if not n:
                break
            removed += n
            if progress:
                progress(removed, max(total, removed))
        await self._db.write(partial(_expire_payloads, end=end, sources=sources))
        await self.scrub(unfinished=True)
        return removed

    async def scrub(self, *, unfinished: bool = False) -> bool:
        """Overwrite the bytes that removals left in the file and its log; False where there are none.

        The full-text index is merged in parts, other writes pass between two; then the file is rewritten (VACUUM):
        writes wait meanwhile, about 1 s per 100 MB, reads go on. With `unfinished` only after `erase` and
        `expire`, not after deletions at a source. Raises TemporaryError where a read that does not end holds
        the log.
        """
        keys = (_REMOVED, _UNFINISHED)
        marks = "SELECT key, value FROM meta WHERE key IN (?,?)"
        due = dict(await self._db.read(lambda connection: rows(connection, marks, *keys), None))
        if not due or (unfinished and _UNFINISHED not in due):
            return False
        await self._db.write(leftovers.begin_merge)
        more = await self._db.write(partial(leftovers.merge_some, first=True))
        while more:
            more = await self._db.write(partial(leftovers.merge_some, first=False))
        await self._db.write(leftovers.end_merge)

        def work(connection: apsw.Connection) -> None:
            with closing(self._db.connect()) as own:
                leftovers.rewrite(own)
            # only what was due when we began: a removal of another process meanwhile keeps its mark
            connection.executemany("DELETE FROM meta WHERE key = ? AND value = ?", list(due.items()))

        await self._db.outside(work)
        return True

    async def backup(self, path: str, progress: Progress | None = None) -> None:
        """A consistent copy of the whole store while it runs, as one file; `progress` counts pages.

        Raises InputError where the path exists already or its folder does not.
        """
        target = Path(path)
        _check_target(target)
        loop, stop = asyncio.get_running_loop(), [False]

        def report(done: int, total: int) -> None:
            if progress:
                loop.call_soon_threadsafe(progress, done, total)

        copying = asyncio.create_task(asyncio.to_thread(_copy, self._db, target, report, stop))
        try:
            await asyncio.shield(copying)
        except asyncio.CancelledError:
            stop[0] = True
            await asyncio.wait([copying])
            raise

    async def status(self, *, check: bool = False) -> Status:
        """What the store holds, and what is wrong with it; `check` reads every page of the file."""
        problems = await self._db.read(_damage, None) if check else []
        try:
            states, vectors, found = await self._db.read(partial(_look_over, timezone=self.timezone), None)
        except PermanentError:
            if not problems:
                raise
            states, vectors, found = {}, 0, []
        problems += found
        files = [self._db.path, self._db.path.with_name(self._db.path.name + "-wal")]
        return Status(
            engine="embedded", schema=str(VERSION), mentions=sum(states.values()), analysed=states.get(ANALYSED, 0),
            waiting=states.get(WAITING, 0), failed=states.get(FAILED, 0), vectors=vectors,
            bytes=sum(file.stat().st_size for file in files if file.exists()), problems=tuple(problems),
        )  # fmt: skip


# --- removing -------------------------------------------------------------------------------------


def _mark(connection: apsw.Connection, key: str) -> None:
    connection.execute(
        "INSERT INTO meta(key, value) VALUES (?, '1') "
        "ON CONFLICT(key) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)",
        (key,),
    )


def _empty_shell(connection: apsw.Connection, alert: str) -> None:
    """Keep that an alert fired, and when; its group may be the author's name."""
    connection.execute("UPDATE alert SET grouping = '(erased)' WHERE id = ? AND grouping != ''", (alert,))
    connection.execute("UPDATE delivery SET detail = '' WHERE alert = ?", (alert,))
    connection.execute("DELETE FROM outbox WHERE alert = ? AND state = 'pending'", (alert,))


def _remove_mentions(connection: apsw.Connection, ids: Sequence[bytes]) -> int:
    """Remove mentions and all that hangs on them; gives how many were stored."""
    removed = 0
    for mention_id in ids:
        found = row(connection, "SELECT rowid, version FROM mention WHERE id = ?", mention_id)
        if found is None:
            continue
        removed += 1
        remove(connection, found[0], mention_id)
        connection.execute(
            "INSERT INTO tombstone(id, at) VALUES (?,?) ON CONFLICT(id) DO UPDATE SET at = max(at, excluded.at)",
            (mention_id, found[1]),
        )
    forget(connection, ids)
    _mark(connection, _UNFINISHED)
    return removed


def _remove_payloads(connection: apsw.Connection, payloads: Sequence[tuple[str, int]]) -> None:
    for table, number in payloads:
        connection.execute(f"DELETE FROM {table} WHERE id = ?", (number,))
    _mark(connection, _UNFINISHED)


def _expire_payloads(connection: apsw.Connection, end: int, sources: Sequence[str]) -> None:
    """Remove what was received before `end` and never became a mention."""
    names = f" AND source IN ({','.join('?' * len(sources))})" if sources else ""
    before = connection.total_changes()
    connection.execute(f"DELETE FROM dead_letter WHERE at < ?{names}", (end, *sources))
    connection.execute(f"DELETE FROM inbox WHERE received < ?{names}", (end, *sources))
    if not sources:
        connection.execute("DELETE FROM delivery WHERE at < ?", (end,))
    if connection.total_changes() != before:
        _mark(connection, _UNFINISHED)


# --- copying and looking --------------------------------------------------------------------------


def _check_target(target: Path) -> None:
    if target.exists():
        raise InputError(f"{target} exists already: a backup overwrites nothing, name another file")
    if not target.absolute().parent.is_dir():
        raise InputError(f"the folder of {target} does not exist: make it first")


def _copy(database: Database, target: Path, report: Progress, stop: list[bool]) -> None:
    """Copy one snapshot of the store; the file gets its name only when it is complete."""
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    try:
        with translated(), closing(database.connect(readonly=True)) as source:
            source.execute("BEGIN")  # one snapshot: without it every write starts the copy anew
            rows(source, "SELECT count(*) FROM meta")
            with closing(apsw.Connection(str(part))) as copy:
                with copy.backup("main", source, "main") as steps:
                    while not steps.done and not stop[0]:
                        steps.step(_BACKUP_PAGES)
                        report(steps.page_count - steps.remaining, steps.page_count)
                if not stop[0]:
                    copy.pragma("journal_mode", "delete")  # one file, nothing beside it
            source.execute("ROLLBACK")
        if not stop[0]:
            part.rename(target)
    finally:
        part.unlink(missing_ok=True)


def _look_over(connection: apsw.Connection, timezone: str) -> tuple[dict[int, int], int, list[str]]:
    """Mentions by state, vectors, and what is wrong."""
    from index.query import parse  # luqum loads where a query is first met

    counted = rows(connection, "SELECT state, count(*), count(vector) FROM mention GROUP BY state")
    meta: dict[str, Any] = dict(rows(connection, "SELECT key, value FROM meta"))
    problems = []
    if meta.get("analyser", tokens.VERSION) != tokens.VERSION:
        problems.append(
            f"the search index was built by analyser {meta['analyser']}, this release has {tokens.VERSION}: "
            "run `listener reindex`"
        )
    if _UNFINISHED in meta:
        problems.append(
            "a removal did not finish, its bytes may still stand in the file: run `listener erase` or `expire` again"
        )
    for key, subscription in load_subscriptions(connection).items():
        try:
            parse(subscription.query, now=subscription.created_at, timezone=timezone)
        except QueryError as error:
            problems.append(f"subscription {key!r} does not match any more, its query cannot be read: {error}")
    return {state: n for state, n, _ in counted}, sum(vectors for *_, vectors in counted), problems


def _damage(connection: apsw.Connection) -> list[str]:
    """What a look at every page of the file finds wrong."""
    try:
        return [f"the file is damaged: {line}" for (line,) in rows(connection, "PRAGMA quick_check") if line != "ok"]
    except apsw.CorruptError as error:
        return [f"the file is damaged: {error}"]

"""Writing mentions: a page with its analyses, alerts and cursor in one transaction."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import apsw

from index import ast
from index.codec import pack_analysis, pack_mention, unpack_analysis, unpack_mention
from index.contract import AnalysisOutcome, Batch, Match, Rules, Saved, Waiting
from index.document import author_of, language_of
from index.embedded import columns, fulltext, ledger
from index.embedded.columns import ANALYSED, FAILED, OFF, STATES, WAITING, WORD_FIELDS, StepCodes, Words
from index.embedded.database import Database, row, rows
from index.embedded.matching import Matcher
from index.handles import with_stored_handles
from index.query import parse
from listener.errors import InputError, NotFoundError
from listener.model import VECTOR_SIZE, Page, Record, to_ms

_NEVER = -(1 << 63)  # below every version
_IDS_AT_ONCE = 1_000
_RETRY_FIRST_MS = 60_000
_RETRY_MOST_MS = 6 * 3_600_000

_MENTION = (
    "INSERT INTO mention(rowid, id, version, published, received, lang, channel, source, kind, brand, product, place, "
    "audience, model, author, author_id, followers, verified, rating, stars, nps, overall, flags, body, vector, state, "
    "tries, try_at, problem) VALUES (" + ",".join("?" * 29) + ")"
)
_SEGMENT = "INSERT INTO segment VALUES (NULL,?,?,?,?,?,?,?,?)"


class Store:
    """What the parts of the engine share, and the writes of mentions."""

    _db: Database
    timezone: str

    def __init__(self) -> None:
        self._words = Words()
        self.stored_handle: Callable[[str], str] = lambda handle: handle  # pseudonyms: a query's handle as stored
        self._matcher = Matcher(lambda query, now: self.parsed(query, now, self.timezone))

    def parsed(self, query: str, now: datetime, timezone: str) -> ast.Node:
        """The tree of a query, its authors as they are stored. Raises QueryError."""
        return with_stored_handles(parse(query, now=now, timezone=timezone), self.stored_handle)

    async def _write(self, work: Callable[[apsw.Connection], Any]) -> Any:
        def current(connection: apsw.Connection) -> Any:
            fulltext.refuse_stale(connection)
            return work(connection)

        return await self._db.write(current)

    async def save(self, batch: Batch, rules: Rules | None = None) -> Saved:
        """Store a page: mentions, versions, deletions, dead letters, gaps, alerts, cursor."""
        saved: Saved = await self._write(lambda connection: self._save(connection, batch, rules))
        return saved

    async def known(self, versions: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
        """Which (id, version) are stored, or older than what is stored, or deleted."""
        wanted = list(versions)

        def look(connection: apsw.Connection) -> set[tuple[str, int]]:
            held = _held(connection, [bytes.fromhex(mention_id) for mention_id, _ in wanted])
            return {item for item in wanted if item[1] <= held.get(bytes.fromhex(item[0]), _NEVER)}

        return await self._db.read(look, None)

    async def waiting(self, limit: int, now: datetime) -> list[Waiting]:
        """Mentions waiting for their analysis, or due for another try, oldest arrival first."""

        def look(connection: apsw.Connection) -> list[Waiting]:
            found = rows(
                connection,
                "SELECT b.mention, m.tries FROM mention m JOIN body b ON b.id = m.body "
                "WHERE m.state IN (1, 2) AND (m.state = 1 OR m.try_at <= ?) ORDER BY m.try_at, m.rowid LIMIT ?",
                to_ms(now), limit,
            )  # fmt: skip
            return [Waiting(Record(unpack_mention(mention)), tries) for mention, tries in found]

        return await self._db.read(look, None)

    async def analysed(self, outcomes: Sequence[AnalysisOutcome], now: datetime, rules: Rules | None = None) -> Saved:
        """Store analyses of stored mentions whose version still holds; match them where `rules` are given."""
        saved: Saved = await self._write(lambda connection: self._analysed(connection, outcomes, now, rules))
        return saved

    async def get(self, mention_id: str) -> Record:
        """One mention. Raises NotFoundError."""

        def look(connection: apsw.Connection) -> Record:
            found = read_record(connection, id_bytes(mention_id))
            if found is None:
                raise NotFoundError(f"there is no mention {mention_id}")
            return found[1]

        return await self._db.read(look)

    async def versions(self, mention_id: str) -> list[Record]:
        """The earlier versions of a mention, oldest first."""

        def look(connection: apsw.Connection) -> list[Record]:
            found = rows(
                connection, "SELECT mention, analysis FROM version WHERE id = ? ORDER BY version", id_bytes(mention_id)
            )
            return [record_of_row(mention, analysis) for mention, analysis in found]

        return await self._db.read(look)

    # --- inside the transaction -----------------------------------------------------------------

    def _save(self, connection: apsw.Connection, batch: Batch, rules: Rules | None) -> Saved:
        new = updated = known = 0
        changes: list[tuple[Record | None, Record]] = []
        fresh: dict[str, tuple[Record | None, Record]] = {}
        stored = _held(connection, [bytes.fromhex(record.mention.id) for record in batch.records])
        for record in batch.records:
            mention = record.mention
            key = bytes.fromhex(mention.id)
            held = fresh.get(mention.id)
            if mention.version <= (held[1].mention.version if held is not None else stored.get(key, _NEVER)):
                known += 1
                continue
            if held is None and key in stored:
                fresh[mention.id] = (_set_aside(connection, key), record)
            else:
                fresh[mention.id] = (held[0] if held is not None else None, record)
        for before, record in fresh.values():
            new += before is None
            updated += before is not None
            changes.append((before, record))
        self._insert(connection, [record for _, record in changes], batch)
        deleted = sum(self._delete(connection, bytes.fromhex(d.mention_id), to_ms(d.at)) for d in batch.page.deletions)
        gone = {deletion.mention_id for deletion in batch.page.deletions}  # no alert keeps the words of what is gone
        left = [(before, record) for before, record in changes if record.mention.id not in gone]
        alerts = self._matcher.alert(connection, left, rules, batch.now) if rules else 0
        rejected = ledger.write_page(connection, batch)
        if changes:
            newest = max(to_ms(record.mention.published_at) for _, record in changes)
            ledger.count_mentions(connection, batch.source, new, newest)
        return Saved(new, updated, known, deleted, rejected, alerts)

    def _analysed(
        self, connection: apsw.Connection, outcomes: Sequence[AnalysisOutcome], now: datetime, rules: Rules | None
    ) -> Saved:
        changes: list[tuple[Record | None, Record]] = []
        for mention_id, version, outcome in outcomes:
            key = bytes.fromhex(mention_id)
            found = read_record(connection, key)
            if found is None or found[1].mention.version != version:
                continue
            rowid, before = found
            if isinstance(outcome, str):
                tries = (row(connection, "SELECT tries FROM mention WHERE rowid = ?", rowid) or (0,))[0] + 1
                wait = min(_RETRY_FIRST_MS * 2 ** min(tries - 1, 20), _RETRY_MOST_MS)
                connection.execute(
                    "UPDATE mention SET state = ?, tries = ?, try_at = ?, problem = ? WHERE rowid = ?",
                    (FAILED, tries, to_ms(now) + wait, outcome[:1000], rowid),
                )
                continue
            after = Record(before.mention, outcome)
            remove(connection, rowid, key)
            changes.append((before, after))
        batch = Batch("", Page(), (), now)
        self._insert(connection, [after for _, after in changes], batch)
        alerts = self._matcher.alert(connection, changes, rules, now) if rules else 0
        return Saved(updated=len(changes), alerts=alerts)

    def _insert(self, connection: apsw.Connection, records: Sequence[Record], batch: Batch) -> None:
        """Write the rows of all tables, in the order of their keys: full-text writes want them rising."""
        taken: set[int] = set()
        keyed = []
        for record in records:
            mention_id = bytes.fromhex(record.mention.id)
            key = columns.free_key(connection, columns.key_of(to_ms(record.mention.published_at), mention_id), taken)
            taken.add(key)
            keyed.append((key, mention_id, record))
        keyed.sort(key=lambda item: item[0])
        steps = StepCodes(self._words, connection)
        mentions: list[tuple[Any, ...]] = []
        segments: list[tuple[Any, ...]] = []
        for key, mention_id, record in keyed:
            mention, analysis = record.mention, record.analysis
            connection.execute(
                "INSERT INTO body(mention, analysis) VALUES (?, ?)",
                (pack_mention(mention), pack_analysis(analysis) if analysis else None),
            )
            body, vector = connection.last_insert_rowid(), None
            if analysis is not None and analysis.vector is not None:
                if len(analysis.vector) != VECTOR_SIZE:
                    raise InputError(f"a vector has {VECTOR_SIZE} bytes, not {len(analysis.vector)}")
                connection.execute("INSERT INTO vector(mention, value) VALUES (?, ?)", (key, analysis.vector))
                vector = connection.last_insert_rowid()
            mentions.append(self._mention_row(connection, key, mention_id, record, body, vector, batch))
            if analysis is not None:
                segments.extend(columns.segment_rows(key, analysis, steps))
        connection.executemany(_MENTION, mentions)
        connection.executemany(_SEGMENT, segments)
        fulltext.put_in(connection, [(key, record) for key, _, record in keyed])

    def _mention_row(
        self, connection: apsw.Connection, key: int, mention_id: bytes, record: Record, body: int,
        vector: int | None, batch: Batch,
    ) -> tuple[Any, ...]:  # fmt: skip
        mention = record.mention
        words = {
            "lang": language_of(record), "channel": mention.channel, "source": mention.source, "kind": mention.kind,
            "brand": mention.brand, "product": mention.product, "place": mention.place, "audience": mention.audience,
            "model": record.analysis.model if record.analysis else None,
        }  # fmt: skip
        codes = [self._words.code(connection, field, words[field]) for field in WORD_FIELDS]
        numbers = columns.numbers_of(record)
        problem = batch.failures.get(mention.id) if record.analysis is None else None
        state = ANALYSED if record.analysis else FAILED if problem is not None else STATES.get(batch.unanalysed, OFF)
        now = to_ms(batch.now)
        try_at = now + _RETRY_FIRST_MS if state == FAILED else now if state == WAITING else None
        author_id = mention.author.id if mention.author else None
        return (
            key, mention_id, mention.version, to_ms(mention.published_at), to_ms(mention.received_at), *codes,
            author_of(mention), author_id, *numbers.values(),
            columns.flags_of(record), body, vector,
            state, int(state == FAILED), try_at, problem and problem[:1000],
        )  # fmt: skip

    def _delete(self, connection: apsw.Connection, mention_id: bytes, at: int) -> bool:
        """A deletion at the source: everything of the mention goes, a tombstone stays."""
        from index.embedded.upkeep import forget

        found = row(connection, "SELECT rowid FROM mention WHERE id = ?", mention_id)
        connection.execute(
            "INSERT INTO tombstone(id, at) VALUES (?, ?) ON CONFLICT(id) DO UPDATE SET at = max(at, excluded.at)",
            (mention_id, at),
        )
        if found is not None:
            remove(connection, found[0], mention_id)
        forget(connection, [mention_id])
        return found is not None

    # --- matching -------------------------------------------------------------------------------

    async def match(self, records: Sequence[Record]) -> list[list[Match]]:
        """Per record the enabled stored subscriptions it matches."""

        now = datetime.now(UTC)

        def look(connection: apsw.Connection) -> list[list[Match]]:
            _, matching = self._matcher.at(connection, now)
            return [list(matching.of(record)) for record in records]

        return await self._db.outside(look)


def id_bytes(mention_id: str) -> bytes:
    """The stored form of an id. Raises NotFoundError for what cannot be one."""
    try:
        return bytes.fromhex(mention_id)
    except ValueError:
        raise NotFoundError(f"there is no mention {mention_id!r}: an id is 32 hex digits") from None


def read_record(connection: apsw.Connection, mention_id: bytes) -> tuple[int, Record] | None:
    """The rowid and record of a mention."""
    found = row(
        connection,
        "SELECT m.rowid, b.mention, b.analysis, v.value FROM mention m JOIN body b ON b.id = m.body "
        "LEFT JOIN vector v ON v.id = m.vector WHERE m.id = ?",
        mention_id,
    )
    return None if found is None else (found[0], record_of_row(*found[1:]))


def record_of_body(connection: apsw.Connection, rowid: int) -> Record:
    """The record of a rowid that is known to exist, without its vector."""
    (found,) = rows(
        connection, "SELECT b.mention, b.analysis FROM mention m JOIN body b ON b.id = m.body WHERE m.rowid = ?", rowid
    )
    return record_of_row(*found)


def remove(connection: apsw.Connection, rowid: int, mention_id: bytes) -> None:
    """Take a mention's present version out of every table that search walks."""
    found = row(
        connection,
        "SELECT m.body, m.vector, b.mention, b.analysis FROM mention m JOIN body b ON b.id = m.body WHERE m.rowid = ?",
        rowid,
    )
    if found is None:
        return
    body, vector, mention, analysis = found
    fulltext.take_out(connection, rowid, record_of_row(mention, analysis))
    connection.execute("DELETE FROM segment WHERE mention = ?", (rowid,))
    connection.execute("DELETE FROM mention WHERE rowid = ?", (rowid,))
    connection.execute("DELETE FROM body WHERE id = ?", (body,))
    if vector is not None:
        connection.execute("DELETE FROM vector WHERE id = ?", (vector,))


def record_of_row(mention: str, analysis: str | None, vector: bytes | None = None) -> Record:
    """The record that a row of `body` holds, with its vector where given."""
    return Record(unpack_mention(mention), unpack_analysis(analysis, vector) if analysis else None)


def _held(connection: apsw.Connection, ids: Sequence[bytes]) -> dict[bytes, int]:
    """Per id that is stored or was deleted the last version that is known; what is newer is news."""
    held: dict[bytes, int] = {}
    for start in range(0, len(ids), _IDS_AT_ONCE):
        some = tuple(ids[start : start + _IDS_AT_ONCE])
        marks = ",".join("?" * len(some))
        for sql in ("SELECT id, version FROM mention", "SELECT id, at FROM tombstone"):
            for key, version in rows(connection, f"{sql} WHERE id IN ({marks})", *some):
                held[key] = max(version, held.get(key, _NEVER))
    return held


def _set_aside(connection: apsw.Connection, mention_id: bytes) -> Record | None:
    """Move the stored version, if there is one, to the history; gives it."""
    found = read_record(connection, mention_id)
    if found is None:
        return None
    rowid, before = found
    connection.execute(
        "INSERT OR REPLACE INTO version(id, version, mention, analysis) "
        "SELECT m.id, m.version, b.mention, b.analysis FROM mention m JOIN body b ON b.id = m.body WHERE m.rowid = ?",
        (rowid,),
    )
    remove(connection, rowid, mention_id)
    return before

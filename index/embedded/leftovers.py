"""The bytes that removals leave in the file, and how they go.

Deleted cells are zeroed at once (secure_delete, and FTS5's own). Two copies are not: what page splits left in the
free space of other pages, gone only from a rewritten file; and words that FTS5 keeps as borders between two
pages of its index, gone only when its segments are merged into a new one.
"""

import apsw

from index.embedded.database import row, rows
from index.embedded.fulltext import TABLES
from listener.errors import TemporaryError

_LOG_WAIT_MS = 5_000  # for reads that hold the log: twice what a read with a deadline takes
_MERGE_PAGES = 500  # of the full-text index written in one transaction
_ROW, _WORD = -(1 << 62), "\u00a6"  # a row beside all mentions, whose word no query can ask for


def begin_merge(connection: apsw.Connection) -> None:
    """Add a row of our own: FTS5 writes an index of one segment anew only when there is a second one."""
    for table in TABLES:
        if not _own_row(connection, table):
            connection.execute(f"INSERT INTO {table}(rowid, text) VALUES (?,?)", (_ROW, _WORD))


def merge_some(connection: apsw.Connection, *, first: bool) -> bool:
    """Merge a part of the full-text tables; False when each is one new segment."""
    work = False
    for table in TABLES:
        before = connection.total_changes()
        pages = -_MERGE_PAGES if first else _MERGE_PAGES
        connection.execute(f"INSERT INTO {table}({table}, rank) VALUES ('merge', ?)", (pages,))
        # as FTS5 documents it: one change is the command itself
        work = connection.total_changes() - before >= 2 or work
    return work


def end_merge(connection: apsw.Connection) -> None:
    """Take our own rows out again."""
    for table in TABLES:
        if _own_row(connection, table):
            connection.execute(f"INSERT INTO {table}({table}, rowid, text) VALUES ('delete',?,?)", (_ROW, _WORD))


def rewrite(connection: apsw.Connection) -> None:
    """Write the file anew and empty its log; reads go on meanwhile. Raises TemporaryError where one holds the log."""
    connection.pragma("temp_store", 1)  # the copy goes through a file: a store is larger than memory
    connection.pragma("cache_size", -16_000)
    if row(connection, "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat4'"):  # samples of ANALYZE hold handles
        connection.execute("DELETE FROM sqlite_stat4 WHERE idx LIKE 'mention_author%'")
    connection.execute("VACUUM")
    connection.set_busy_timeout(_LOG_WAIT_MS)
    busy = rows(connection, "PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
    if busy:
        raise TemporaryError(
            "everything is removed, but a long read still holds the log with its bytes: repeat when it has ended",
            retry_after=60.0,
        )


def _own_row(connection: apsw.Connection, table: str) -> bool:
    return row(connection, f"SELECT 1 FROM {table} WHERE {table} MATCH ? AND rowid = ?", f'"{_WORD}"', _ROW) is not None

"""The full-text index built anew from the stored mentions, beside reads and writes, resumable after a kill."""

import apsw

from index import tokens
from index.document import author_of
from index.embedded import fulltext
from index.embedded.database import row, rows
from index.embedded.fulltext import reindexed_to
from index.embedded.store import Store, record_of_row
from index.engine import Progress
from index.leaves import keyword

_CHUNK = 1_000
_BEFORE_ALL = -(1 << 63)


class Reindex(Store):
    """The part of the embedded engine that follows a change of the text analysis."""

    async def reindex(self, progress: Progress | None = None) -> int:
        """Build the search index anew; gives how many mentions stand in it.

        Until it ends, searches find what is indexed so far. Writes go on: a mention whose turn has not come is
        left to this walk. Ended at any moment and called again, it goes on where it was.
        """
        await self._db.write(_begin)
        (total,) = (await self._db.read(lambda c: row(c, "SELECT count(*) FROM mention"), None)) or (0,)
        done = 0
        while n := await self._db.write(_step):
            done += n
            if progress:
                progress(min(done, total), total)
        self._words.forget()
        return int(total)


def _begin(connection: apsw.Connection) -> None:
    """Empty the index, unless an unfinished walk with this analysis goes on; fold the keywords anew."""
    held = row(connection, "SELECT value FROM meta WHERE key = 'analyser'")
    if reindexed_to(connection) is not None and held is not None and held[0] == tokens.VERSION:
        return
    for table in fulltext.TABLES:
        connection.execute(f"INSERT INTO {table}({table}) VALUES ('delete-all')")
    connection.execute("INSERT OR REPLACE INTO meta(key, value) VALUES ('analyser', ?)", (tokens.VERSION,))
    connection.execute("INSERT OR REPLACE INTO meta(key, value) VALUES ('reindex', ?)", (str(_BEFORE_ALL),))
    for code, field, value in rows(connection, "SELECT id, field, value FROM word"):
        connection.execute("UPDATE word SET folded = ? WHERE id = ?", (keyword(field, value), code))


def _step(connection: apsw.Connection) -> int:
    """Index the next mentions; 0 when none is left, and the walk is over."""
    done = reindexed_to(connection)
    if done is None:
        return 0
    found = rows(
        connection,
        "SELECT m.rowid, b.mention, b.analysis FROM mention m JOIN body b ON b.id = m.body "
        "WHERE m.rowid > ? ORDER BY m.rowid LIMIT ?",
        done, _CHUNK,
    )  # fmt: skip
    if not found:
        connection.execute("DELETE FROM meta WHERE key = 'reindex'")
        return 0
    records = [(key, record_of_row(mention, analysis)) for key, mention, analysis in found]
    fulltext.insert(connection, records)
    connection.executemany(
        "UPDATE mention SET author = ? WHERE rowid = ?", [(author_of(record.mention), key) for key, record in records]
    )
    connection.execute("UPDATE meta SET value = ? WHERE key = 'reindex'", (str(found[-1][0]),))
    return len(found)

"""The full-text tables: what they hold of a mention and of its segments, put in and taken out again.

FTS5 keeps no texts here (content=''), so taking a mention out needs the very tokens that went in: they are made
anew from the stored record. The version of the analysis that made them stands in `meta`; nothing is written while
it differs from ours.
"""

from collections.abc import Iterator, Sequence

import apsw

from index import tokens
from index.document import Words, language_of
from index.embedded.database import row, rows
from listener.errors import TemporaryError
from listener.model import Record

TABLES = ("fts", "segment_fts")
_MENTION, _SEGMENT = "rowid, text, title, text_stem, title_stem", "rowid, text, text_stem"
_MARKS = {"fts": "?,?,?,?,?", "segment_fts": "?,?,?"}


def refuse_stale(connection: apsw.Connection) -> None:
    """Raises TemporaryError where another version of the text analysis made the index."""
    held = row(connection, "SELECT value FROM meta WHERE key = 'analyser'")
    if held is not None and held[0] != tokens.VERSION:
        raise TemporaryError("the text analysis changed with this release: run `listener reindex`", retry_after=30.0)


def reindexed_to(connection: apsw.Connection) -> int | None:
    """While an index is built anew: the rowid up to which it stands; None otherwise."""
    held = row(connection, "SELECT value FROM meta WHERE key = 'reindex'")
    return None if held is None else int(held[0])


def put_in(connection: apsw.Connection, records: Sequence[tuple[int, Record]]) -> None:
    """Index mentions by rowid, rising, whose segments are stored; those a reindex has yet to reach are left to it."""
    done = reindexed_to(connection)
    due = [(key, record) for key, record in records if done is None or key <= done]
    insert(connection, due)


def insert(connection: apsw.Connection, records: Sequence[tuple[int, Record]]) -> None:
    """Index these mentions whatever a reindex does."""
    mentions = [(key, *mention_texts(record)) for key, record in records]
    connection.executemany(f"INSERT INTO fts({_MENTION}) VALUES ({_MARKS['fts']})", mentions)
    segments = sorted(item for key, record in records for item in _segments(connection, key, record))
    connection.executemany(f"INSERT INTO segment_fts({_SEGMENT}) VALUES ({_MARKS['segment_fts']})", segments)


def take_out(connection: apsw.Connection, key: int, record: Record) -> None:
    """Remove a mention, whose segments are still stored, from the index. Raises TemporaryError like `refuse_stale`."""
    refuse_stale(connection)
    done = reindexed_to(connection)
    if done is not None and key > done:
        return
    texts = mention_texts(record)
    connection.execute(f"INSERT INTO fts(fts, {_MENTION}) VALUES ('delete',{_MARKS['fts']})", (key, *texts))
    connection.executemany(
        f"INSERT INTO segment_fts(segment_fts, {_SEGMENT}) VALUES ('delete',{_MARKS['segment_fts']})",
        list(_segments(connection, key, record)),
    )


def mention_texts(record: Record) -> tuple[str, str, str, str]:
    """Text and title of a mention as exact tokens, then as stems."""
    language = language_of(record)
    text, text_stem = tokens.indexed(record.mention.text, language)
    title, title_stem = tokens.indexed(record.mention.title, language) if record.mention.title else ("", "")
    return text, title, text_stem, title_stem


def _segments(connection: apsw.Connection, key: int, record: Record) -> Iterator[tuple[int, str, str]]:
    """(id, exact tokens, stems) of each stored segment: the tokens that lie wholly inside it."""
    if record.analysis is None or not record.analysis.segments:
        return
    language = language_of(record)
    words = Words(tokens.tokenize(record.mention.text), language)
    ids = rows(connection, "SELECT id FROM segment WHERE mention = ? ORDER BY ord", key)
    for (number,), segment in zip(ids, record.analysis.segments, strict=True):
        first, last = words.within(segment)
        inside = words.tokens[first:last]
        stems = [tokens.stem(token.word, language) or "" for token in inside]
        yield number, " ".join(token.exact for token in inside), " ".join(stems).strip()

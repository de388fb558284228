"""The traces of one author in a store: their mentions, and payloads that never became a mention."""

import json
import re
from collections.abc import Callable, Iterable

import apsw

from index import tokens
from index.embedded.database import rows

_WHOLE_WORD = 4  # a name shorter than this is looked for in payloads as a word of its own
_AUTHOR = "{0} ->> '$.author.handle', {0} ->> '$.author.name', {0} ->> '$.author.id'"


def by_author(connection: apsw.Connection, author: str) -> tuple[list[bytes], set[str]]:
    """The ids of an author's mentions, and the names to look for in payloads."""
    bare = author.strip().lstrip("@")
    folded = tokens.fold(author).lstrip("@")
    given = (folded, bare, author.strip(), folded)
    found = {
        item[0]
        for item in connection.execute(
            "SELECT id FROM mention WHERE author = ? UNION SELECT id FROM mention WHERE author_id IN (?,?,?)", given
        )
    }
    for mention_id, handle, name, number in connection.execute(f"SELECT id, {_AUTHOR.format('mention')} FROM version"):
        if number in given or tokens.fold(handle or name or "").lstrip("@") == folded:
            found.add(mention_id)
    for mention_id in list(found):  # one person under several handles has one id
        for (other,) in rows(
            connection,
            "SELECT o.id FROM mention m JOIN mention o ON o.author_id = m.author_id AND o.source = m.source "
            "WHERE m.id = ? AND m.author_id IS NOT NULL", mention_id,
        ):  # fmt: skip
            found.add(other)
    names = {bare}
    sql = f"SELECT {_AUTHOR.format('b.mention')} FROM mention m JOIN body b ON b.id = m.body WHERE m.id = ?"
    for mention_id in found:
        for handle, _, number in rows(connection, sql, mention_id):
            names.update(str(name).strip().lstrip("@") for name in (handle, number) if name)
    return sorted(found), {name for name in names if name}


def payloads_naming(connection: apsw.Connection, names: Iterable[str]) -> list[tuple[str, int]]:
    """The (table, id) of dead letters and inbox entries that hold one of the names."""
    holds = _finder(names)
    found = []
    for number, raw, words in connection.execute("SELECT id, raw, place || ' ' || reason FROM dead_letter"):
        if holds(raw) or holds(words.encode("utf8", "replace")):
            found.append(("dead_letter", number))
    for number, raw, event in connection.execute("SELECT id, body, event FROM inbox"):
        if holds(raw) or holds(event.encode("utf8", "replace")):
            found.append(("inbox", number))
    return found


def _finder(names: Iterable[str]) -> Callable[[bytes], bool]:
    """Whether bytes hold a name: in UTF-8 or UTF-16, plain or escaped as in JSON, in any case."""
    plain: set[str] = set()
    wide: set[bytes] = set()
    words = []
    for name in names:
        forms = {name.casefold(), json.dumps(name)[1:-1].casefold()}
        if len(name) >= _WHOLE_WORD:
            plain |= forms
            wide |= {name.encode(code, "surrogatepass") for code in ("utf-16-le", "utf-16-be")}
        else:  # "al" stands in every second record; after an escape like \n it is still a word
            words += [rf"(?:(?<!\w)|(?<=\\[bfnrt])){re.escape(form)}(?!\w)" for form in forms]
    pattern = re.compile("|".join(words)) if words else None

    def holds(raw: bytes) -> bool:
        text = raw.decode("utf8", "replace").casefold()
        if any(form in text for form in plain) or any(form in raw for form in wide):
            return True
        return pattern is not None and pattern.search(text) is not None

    return holds

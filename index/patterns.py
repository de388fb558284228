"""Patterns and near spellings of one token: wildcards and edit distance, in linear time and the same everywhere."""

from functools import lru_cache

_ANY, _ONE = object(), object()


@lru_cache(maxsize=4096)
def _parsed(pattern: str) -> tuple[object, ...]:
    """The pattern's characters with wildcards as markers; a backslash makes the next character literal."""
    parts: list[object] = []
    place = 0
    while place < len(pattern):
        char = pattern[place]
        if char == "\\" and place + 1 < len(pattern):
            place += 1
            parts.append(pattern[place])
        elif char == "*":
            if not parts or parts[-1] is not _ANY:
                parts.append(_ANY)
        else:
            parts.append(_ONE if char == "?" else char)
        place += 1
    return tuple(parts)


@lru_cache(maxsize=4096)
def literal_start(pattern: str) -> str:
    """The literal characters before a pattern's first wildcard."""
    start: list[str] = []
    for part in _parsed(pattern):
        if not isinstance(part, str):
            break
        start.append(part)
    return "".join(start)


def glob(pattern: str, value: str) -> bool:
    """Whether the whole value has the pattern: `*` any characters, `?` one, `\\*` a star."""
    if not value.startswith(literal_start(pattern)):
        return False
    parts = _parsed(pattern)
    place = at = 0
    star, resume = -1, 0
    while at < len(value):
        if place < len(parts) and (parts[place] is _ONE or parts[place] == value[at]):
            place, at = place + 1, at + 1
        elif place < len(parts) and parts[place] is _ANY:
            star, resume = place, at
            place += 1
        elif star >= 0:
            resume += 1
            place, at = star + 1, resume
        else:
            return False
    return all(part is _ANY for part in parts[place:])


def near(term: str, token: str, distance: int) -> bool:
    """Whether the token starts like the term and is at most `distance` edits away.

    An edit inserts, deletes or replaces a character, or swaps two neighbours: Lucene's fuzzy with prefix length 1.
    """
    if term[:1] != token[:1] or abs(len(term) - len(token)) > distance:
        return False
    if term == token:
        return True
    before: list[int] = []
    row = list(range(len(token) + 1))
    for i, char in enumerate(term, 1):
        current = [i]
        for j, other in enumerate(token, 1):
            cost = min(row[j] + 1, current[j - 1] + 1, row[j - 1] + (char != other))
            if i > 1 and j > 1 and char == token[j - 2] and term[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        if min(current) > distance and min(row) > distance:
            return False
        before, row = row, current
    return row[-1] <= distance

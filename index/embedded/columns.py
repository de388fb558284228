"""A record as rows of the narrow tables: codes, bit sets, the key that orders by publication."""

from collections.abc import Iterable, Mapping
from typing import Any

import apsw

from index.document import has_link
from index.leaves import keyword
from listener.model import EMOTIONS, INTENTS, SENTIMENTS, Analysis, Record

WORD_FIELDS = ("lang", "channel", "source", "kind", "brand", "product", "place", "audience", "model")
REPLY, EDITED, OWN, UNCERTAIN, UNANALYSED, HAS_URL, HISTORY, HAS_TEXT, HAS_TITLE = (1 << bit for bit in range(9))
ANALYSED, WAITING, FAILED, OFF = range(4)
STATES = {"waiting": WAITING, "off": OFF}

_LOW_BITS = 20
_MAX_MS = (1 << 42) - 1  # the year 2109; what claims to be later sorts there


def key_of(published_ms: int, mention_id: bytes) -> int:
    """The wished rowid of a mention: its time, then the first bits of its id."""
    ms = max(-_MAX_MS, min(published_ms, _MAX_MS))
    return (ms << _LOW_BITS) | (int.from_bytes(mention_id[:3], "big") >> 4)


def key_range(low_ms: float | None, high_ms: float | None) -> tuple[int, int]:
    """The rowids of the mentions published from `low_ms` to `high_ms`, both included."""
    low = -_MAX_MS if low_ms is None else max(-_MAX_MS, min(int(low_ms), _MAX_MS + 1))
    high = _MAX_MS if high_ms is None else max(-_MAX_MS - 1, min(int(high_ms), _MAX_MS))
    return low << _LOW_BITS, (high << _LOW_BITS) | ((1 << _LOW_BITS) - 1)


def ms_of_key(key: int) -> int:
    """When the mention of a rowid was published."""
    return key >> _LOW_BITS


def free_key(connection: apsw.Connection, wished: int, taken: set[int]) -> int:
    """The first free rowid from the wished one on; two mentions rarely share time and id bits."""
    key = wished
    while key in taken or connection.execute("SELECT 1 FROM mention WHERE rowid = ?", (key,)).fetchone():
        key += 1
    return key


def bits(scores: Mapping[str, float], names: tuple[str, ...]) -> int:
    """The labels at or above the decision point, as a bit set over `names`."""
    return sum(1 << position for position, name in enumerate(names) if scores[name] >= 0.5)


def segment_rows(key: int, analysis: Analysis, steps: "StepCodes") -> Iterable[tuple[Any, ...]]:
    """The rows of table `segment`."""
    for position, segment in enumerate(analysis.segments):
        yield (
            key, position, steps.code(segment.step), SENTIMENTS.index(segment.sentiment.label),
            bits(segment.emotions, EMOTIONS), bits(segment.intents, INTENTS), segment.effort, int(segment.uncertain),
        )  # fmt: skip


def nps_of(record: Record) -> float | None:
    """The last NPS answer of a mention, on 0 to 10."""
    for score in reversed(record.mention.scores):
        if score.metric == "nps" and score.max > score.min:
            return (score.value - score.min) / (score.max - score.min) * 10
    return None


class Words:
    """The codes of keyword values, remembered per process; forgotten where a write is rolled back."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], int] = {}

    def code(self, connection: apsw.Connection, field: str, value: str | None) -> int | None:
        """The code of a value, made where it is new."""
        if not value:
            return None
        code = self._codes.get((field, value))
        if code is not None:
            return code
        found = connection.execute("SELECT id FROM word WHERE field = ? AND value = ?", (field, value)).fetchone()
        if found is None:
            connection.execute(
                "INSERT INTO word(field, value, folded) VALUES (?, ?, ?)", (field, value, keyword(field, value))
            )
            found = (connection.last_insert_rowid(),)
        if len(self._codes) > 100_000:
            self._codes.clear()
        self._codes[field, value] = found[0]
        return int(found[0])

    def forget(self) -> None:
        """Drop what a rolled back write may have remembered."""
        self._codes.clear()


class StepCodes:
    """Steps as small numbers: the words of field `step`, since a journey of one's own has its own steps."""

    def __init__(self, words: Words, connection: apsw.Connection) -> None:
        self._words, self._connection = words, connection

    def code(self, step: str) -> int:
        """The code of a step."""
        return self._words.code(self._connection, "step", step) or 0


def numbers_of(record: Record) -> dict[str, float | int | None]:
    """The numeric columns of a mention."""
    mention, analysis = record.mention, record.analysis
    author = mention.author
    return {
        "followers": author.followers if author else None,
        "verified": None if author is None or author.verified is None else int(author.verified),
        "rating": mention.rating,
        "stars": analysis.stars if analysis else None,
        "nps": nps_of(record),
        "overall": SENTIMENTS.index(analysis.sentiment.label) if analysis else None,
    }


def flags_of(record: Record) -> int:
    """The flags of a mention as a bit set."""
    mention, analysis = record.mention, record.analysis
    return (
        (REPLY if mention.parent_id is not None else 0)
        | (EDITED if mention.edited else 0)
        | (OWN if mention.own else 0)
        | (UNCERTAIN if analysis is not None and analysis.uncertain else 0)
        | (UNANALYSED if analysis is None else 0)
        | (HAS_URL if has_link(mention) else 0)
        | (HISTORY if mention.history else 0)
        | (HAS_TEXT if mention.text else 0)
        | (HAS_TITLE if mention.title else 0)
    )

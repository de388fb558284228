"""Clauses of a verbatim with exact offsets: rules over spaCy's tokens of blank pipelines.

spaCy is imported at first use: it is the slowest import of the package.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from nlp.clause_words import AND, CONTRAST, UNSPACED
from nlp.edges import clean, has_emoji, has_words, masked

if TYPE_CHECKING:
    from spacy.language import Language

Span = tuple[int, int]
MAX_PIECES = 60
_ENDS = frozenset(".!?。！？…؟।።॥‼⁉;")
_COMMAS = frozenset(",，、،;；:–—-")
_CLOSERS = frozenset("\"'”’»)]}）】」』*~_")
_UNSPACED = re.compile(r"[\u0E00-\u0E7F\u3040-\u30FF\u3400-\u9FFF\uF900-\uFAFF]")
_BREAK = re.compile(r"[\s,，、،;；。.!?！？]")
# How many words must stand on both sides of a cut; fitted on journey/train, see docs/model-card.md.
CONTRAST_WORDS, COMMA_WORDS, AND_WORDS = 2, 5, 99


@dataclass(frozen=True, slots=True)
class _Token:
    start: int
    end: int
    text: str  # lower case
    words: float  # 1 for a word, half a character's count in scripts without blanks, 0 for the rest


@dataclass(frozen=True, slots=True)
class _Cut:
    token: int  # the clause begins at this token
    words: int  # needed on both sides


@cache
def _pipeline(language: str) -> "Language":
    import spacy

    try:
        pipeline = spacy.blank(language)
    except (ImportError, ValueError, OSError):  # no such pipeline, or one that needs a package of its own
        pipeline = spacy.blank("xx") if language != "xx" else spacy.blank("en")
    pipeline.max_length = 10**9
    return pipeline


# Blank pipelines that segment words with packages of their own, or char by char: the neutral one does as well.
_NEUTRAL = frozenset({"zh", "ja", "ko", "th", "vi", "und", "km", "my", "lo"})


@cache
def _words_of(language: str, kind: str) -> frozenset[str]:
    tables = {"contrast": CONTRAST, "and": AND}[kind]
    listed = tables.get(language)
    if listed is None and language == "und":
        listed = " ".join(tables.values()) if kind == "contrast" else ""
    return frozenset((listed or "").split())


@cache
def _unspaced_pattern(language: str) -> re.Pattern[str] | None:
    words = sorted(UNSPACED.get(language, "").split(), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, words))) if words else None


def _tokens(text: str, language: str) -> list[_Token]:
    doc = _pipeline("xx" if language in _NEUTRAL else language).make_doc(text)
    pattern = _unspaced_pattern(language)
    found: list[_Token] = []
    for token in doc:
        start, content = token.idx, token.text
        if _UNSPACED.search(content):
            found += _unspaced(start, content, pattern)
        else:
            word = 1.0 if any(char.isalnum() for char in content) else 0.0
            found.append(_Token(start, start + len(content), content.lower(), word))
    return found


def _unspaced(start: int, content: str, pattern: re.Pattern[str] | None) -> list[_Token]:
    """A run without blanks, cut at punctuation and before clause words."""
    cuts = {0, len(content)}
    for at, char in enumerate(content):
        if char in _ENDS or char in _COMMAS:
            cuts |= {at, at + 1}
    if pattern is not None:
        for match in pattern.finditer(content):
            cuts |= {match.start(), match.end()}
    edges = sorted(cuts)
    return [
        _Token(start + a, start + b, content[a:b].lower(), sum(char.isalnum() for char in content[a:b]) / 2)
        for a, b in pairwise(edges)
    ]


def _cuts(tokens: Sequence[_Token], text: str, language: str) -> list[_Cut]:
    contrast, also = _words_of(language, "contrast"), _words_of(language, "and")
    pattern = _unspaced_pattern(language)
    cuts: list[_Cut] = []
    pending: int | None = None  # words needed by a cut that comes once closers and emoji are over
    for number, token in enumerate(tokens):
        content = token.text.strip()
        if number and "\n" in text[tokens[number - 1].start : token.start]:
            pending = 0
        if content and all(char in _ENDS for char in content):
            pending = 0
            continue
        if content and all(char in _COMMAS for char in content):
            pending = COMMA_WORDS if pending is None else pending
            continue
        if not content or content in _CLOSERS or (not token.words and has_emoji(content)):
            if language == "th" and not content:
                pending = COMMA_WORDS if pending is None else pending
            continue
        need = pending
        if content in contrast or (pattern is not None and pattern.fullmatch(content)):
            need = CONTRAST_WORDS if need is None else min(need, CONTRAST_WORDS)
        elif content in also:
            need = AND_WORDS if need is None else min(need, AND_WORDS)
        if need is not None and number:
            cuts.append(_Cut(number, need))
        pending = None
    return cuts


def segments(text: str, language: str = "und") -> list[Span]:
    """The clauses of a text as [start, end) without blanks around, in order, without overlap.

    A text of only punctuation, links or @names has none; one of only emoji has one.
    """
    if not has_words(text):
        return _trimmed(text, 0, len(text)) if has_emoji(text) else []
    tokens = _tokens(masked(clean(text)), language)
    total = [0.0]
    for token in tokens:
        total.append(total[-1] + token.words)
    cuts = _cuts(tokens, text, language)
    edges, begin = [0], 0
    for cut, following in zip(cuts, _sentence_ends(cuts, len(tokens)), strict=True):
        left, right = total[cut.token] - total[begin], total[following] - total[cut.token]
        if left >= max(cut.words, 1) and right >= cut.words:
            edges.append(tokens[cut.token].start)
            begin = cut.token
    return _joined(text, [*edges, len(text)])


def _sentence_ends(cuts: Sequence[_Cut], last: int) -> list[int]:
    """For each cut the token where its sentence ends: the next cut that needs no words, or the last token."""
    found = []
    for cut in reversed(cuts):
        found.append(last)
        last = cut.token if cut.words == 0 else last
    return found[::-1]


def _joined(text: str, edges: Sequence[int]) -> list[Span]:
    """Spans between the edges; one without words joins the clause before it where it colours it, else falls away."""
    found: list[Span] = []
    for start, end in pairwise(edges):
        clause = text[start:end]
        if has_words(clause):
            found += _trimmed(text, start, end)
        elif has_emoji(clause) and found:
            found[-1] = (found[-1][0], _trimmed(text, start, end)[0][1])
    return found


def _trimmed(text: str, start: int, end: int) -> list[Span]:
    clause = text[start:end]
    start += len(clause) - len(clause.lstrip())
    end -= len(clause) - len(clause.rstrip())
    return [(start, end)] if start < end else []


def limited(text: str, spans: Sequence[Span], starts: Sequence[int], most: int = MAX_PIECES) -> list[Span]:
    """The spans, those of more than `most` pieces cut at a blank or comma near their middle.

    `starts` are the pieces' first characters, ascending.
    """
    done: list[Span] = []
    waiting = list(reversed(spans))
    while waiting:
        start, end = waiting.pop()
        first, last = bisect_left(starts, start), bisect_left(starts, end)
        if last - first <= most or end - start < 2:
            done.append((start, end))
            continue
        middle = min(max(starts[(first + last) // 2], start + 1), end - 1)
        near = [m.end() for m in _BREAK.finditer(text, start + 1, end - 1)]
        cut = min(near, key=lambda at: abs(at - middle)) if near else middle
        if near and not 0.2 <= (cut - start) / (end - start) <= 0.8:
            cut = middle
        halves = _trimmed(text, start, cut) + _trimmed(text, cut, end)
        waiting += reversed(halves if len(halves) > 1 else [(start, middle), (middle, end)])
    return [span for span in done if has_words(text[span[0] : span[1]]) or has_emoji(text[span[0] : span[1]])]

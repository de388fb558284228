"""Which words an answer rests on: each is left out in turn, and the fall of the label's score is its weight."""

import re
from collections.abc import Sequence
from typing import Protocol

from listener.model import SENTIMENTS, STEPS, Analysis, Explanation, Verbatim
from nlp.heads import SegmentScores, WholeScores
from nlp.segmenter import Span

MOST_SPANS, MOST_SHARE, MOST_TRIALS = 3, 0.3, 48
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*|[\U0001F300-\U0001FAFF\u2600-\u27BF]")
_UNSPACED = re.compile(r"[\u0E00-\u0E7F\u3040-\u30FF\u3400-\u9FFF]")


class Scorer(Protocol):
    """What explanations ask of a classifier."""

    def scores(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> list[tuple[WholeScores, SegmentScores]]:
        """Heads over the given spans of each text."""


def words(text: str) -> list[Span]:
    """The words of a text; runs without blanks (Chinese, Japanese, Thai) in pairs of characters."""
    found: list[Span] = []
    for match in _WORD.finditer(text):
        start, end = match.span()
        if _UNSPACED.search(match.group()):
            found += [(at, min(at + 2, end)) for at in range(start, end, 2)]
        else:
            found.append((start, end))
    return found


def explain(scorer: Scorer, verbatim: Verbatim, analysis: Analysis) -> list[Explanation]:
    """At most three spans per label, heaviest first, of together at most 30 % of the words (at least one word)."""
    text = verbatim.text
    spans = [(segment.start, segment.end) for segment in analysis.segments]
    units = _grouped(words(text))
    if not units or analysis.from_rating:
        return []
    without = [text[:start] + " " * (end - start) + text[end:] for start, end in units]
    results = scorer.scores([text, *without], [spans] * (len(units) + 1))
    whole = SENTIMENTS.index(analysis.sentiment.label)
    falls = _falls([float(w.sentiment[0, whole]) for w, _ in results])
    found = _pick(text, units, falls, analysis.sentiment.label, None)
    for number, segment in enumerate(analysis.segments):
        inside = [at for at, (start, end) in enumerate(units) if start >= segment.start and end <= segment.end]
        chosen = [units[at] for at in inside]
        step, feeling = STEPS.index(segment.step), SENTIMENTS.index(segment.sentiment.label)
        steps = _falls([float(s.step[number, step]) for _, s in results])
        feelings = _falls([float(s.sentiment[number, feeling]) for _, s in results])
        found += _pick(text, chosen, [steps[at] for at in inside], segment.step, number)
        found += _pick(text, chosen, [feelings[at] for at in inside], segment.sentiment.label, number)
    return found


def _grouped(found: list[Span]) -> list[Span]:
    """Neighbours together where there are too many words to try one by one."""
    size = max(1, -(-len(found) // MOST_TRIALS))
    return [(found[at][0], found[min(at + size, len(found)) - 1][1]) for at in range(0, len(found), size)]


def _falls(scores: Sequence[float]) -> list[float]:
    """The first score is the whole text's; how far each of the others lies below it."""
    return [scores[0] - score for score in scores[1:]]


def _pick(
    text: str, units: Sequence[Span], falls: Sequence[float], label: str, segment: int | None
) -> list[Explanation]:
    budget = max(1, int(MOST_SHARE * len(units)))
    order = sorted(range(len(units)), key=lambda at: (-falls[at], at))
    runs: list[list[int]] = []  # each a run of neighbouring units
    for at in order[:budget]:
        if falls[at] <= 0:
            break
        near = [run for run in runs if run[-1] + 1 == at or run[0] - 1 == at]
        if near:
            merged = sorted(sum(near, [at]))
            runs = [run for run in runs if run not in near] + [merged]
        elif len(runs) < MOST_SPANS:
            runs.append([at])
    found = [
        Explanation(label, units[run[0]][0], units[run[-1]][1], round(sum(falls[at] for at in run), 6), segment)
        for run in runs
    ]
    return sorted(found, key=lambda item: -item.weight)

"""Figures of merit over plain labels; used by evaluation and training alike."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from listener.model import Analysis, Segment


def f1(gold: Sequence[bool], said: Sequence[bool]) -> float:
    """Of one yes-or-no label; 0 where neither side ever says yes."""
    hits = sum(g and s for g, s in zip(gold, said, strict=True))
    total = sum(gold) + sum(said)
    return 2 * hits / total if total else 0.0


def macro_f1(gold: Sequence[Hashable], said: Sequence[Hashable], labels: Sequence[Hashable]) -> float:
    """The mean F1 over those of the labels that occur in gold."""
    present = [label for label in labels if label in set(gold)]
    return sum(f1([g == label for g in gold], [s == label for s in said]) for label in present) / max(1, len(present))


def overlap(segment: Segment, start: int, end: int) -> int:
    """How many characters of [start, end) lie in the segment."""
    return max(0, min(segment.end, end) - max(segment.start, start))


def matched(gold: Mapping[str, Any], analysis: Analysis) -> Segment | None:
    """The predicted segment that overlaps a gold one most (a tie: the last); None where none touches it."""
    best: Segment | None = None
    most = 1
    for segment in analysis.segments:
        shared = overlap(segment, gold["start"], gold["end"])
        if shared >= most:
            best, most = segment, shared
    return best


def met(gold: Mapping[str, Any], analysis: Analysis) -> bool:
    """Whether a predicted segment has an intersection over union of 0.5 or more with the gold one."""
    for segment in analysis.segments:
        shared = overlap(segment, gold["start"], gold["end"])
        union = max(segment.end, gold["end"]) - min(segment.start, gold["start"])
        if shared and shared / union >= 0.5:
            return True
    return False

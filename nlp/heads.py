"""The linear heads of the shipped model: features to calibrated scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from listener.model import EMOTIONS, INTENTS, SENTIMENTS, STEPS
from nlp.vector import Floats

HEADS: Mapping[str, int] = {
    "segment_step": len(STEPS), "segment_sentiment": len(SENTIMENTS), "segment_emotions": len(EMOTIONS),
    "segment_intents": len(INTENTS), "segment_effort_told": 1, "segment_effort": 1,
    "whole_sentiment": len(SENTIMENTS), "whole_emotions": len(EMOTIONS), "whole_intents": len(INTENTS),
    "whole_stars": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SegmentScores:
    """Of n segments: step [n, 10], sentiment [n, 3], emotions [n, 6], intents [n, 7], effort [n] (0: not told)."""

    step: Floats
    sentiment: Floats
    emotions: Floats
    intents: Floats
    effort: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WholeScores:
    """Of n texts: sentiment [n, 3], emotions [n, 6], intents [n, 7], stars [n] in 1..5."""

    sentiment: Floats
    emotions: Floats
    intents: Floats
    stars: Floats


class Heads:
    """Weights and the temperature or decision point of every head; probabilities come out."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as stored:
            self._parts = {name: (stored[f"{name}.weights"], stored[f"{name}.bias"]) for name in HEADS}
            self._points = {name: stored[f"{name}.point"] for name in HEADS}
            self.centre: Floats = stored["centre"]

    def logits(self, name: str, features: Floats) -> Floats:
        """Raw outputs of a head, [n, outputs]."""
        weights, bias = self._parts[name]
        return np.asarray(features @ weights + bias, dtype=np.float32)

    def _chances(self, name: str, features: Floats) -> Floats:
        logits = self.logits(name, features) / self._points[name]
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float32)

    def _shifted(self, name: str, features: Floats) -> Floats:
        """Sigmoid with the decision point at 0.5."""
        logits = self.logits(name, features) - self._points[name]
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float32)

    def segments(self, features: Floats) -> SegmentScores:
        """Features [n, 768]: the mean of the span, the mean of the text."""
        told = self._shifted("segment_effort_told", features)[:, 0] >= 0.5
        effort = np.clip(np.rint(self.logits("segment_effort", features)[:, 0]), 1, 5).astype(np.int64)
        return SegmentScores(
            self._chances("segment_step", features),
            self._chances("segment_sentiment", features),
            self._shifted("segment_emotions", features),
            self._shifted("segment_intents", features),
            np.where(told, effort, 0),
        )

    def whole(self, means: Floats) -> WholeScores:
        """Features [n, 384]: the mean of the text."""
        return WholeScores(
            self._chances("whole_sentiment", means),
            self._shifted("whole_emotions", means),
            self._shifted("whole_intents", means),
            np.clip(self.logits("whole_stars", means)[:, 0], 1.0, 5.0),
        )

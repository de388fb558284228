"""Which language a short, noisy text is in: a linear model over hashed character n-grams."""

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nlp.edges import clean, masked

Ints = npt.NDArray[np.int64]
BUCKETS = 1 << 16
MOST_CHARACTERS = 400  # more decide nothing and cost time
UNSURE = 0.15  # below this probability the answer is "und"
_SKIPPED = re.compile(r"[\W\d_]+")
_MULTIPLIERS = np.array([0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F], dtype=np.uint64)


def grams(text: str) -> Ints:
    """The buckets of the text's n-grams of 1 to 4 characters, words set off by blanks."""
    words = _SKIPPED.sub(" ", masked(clean(text[: 4 * MOST_CHARACTERS])).lower()).strip()[:MOST_CHARACTERS]
    if not words:
        return np.empty(0, dtype=np.int64)
    points = np.frombuffer(f" {words} ".encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    found = []
    rolling = np.zeros(len(points), dtype=np.uint64)
    for size in range(1, 5):
        if size > len(points):
            break
        rolling = (rolling[: len(points) - size + 1] * np.uint64(1_000_003) + points[size - 1 :]) & np.uint64(
            0xFFFFFFFF
        )
        mixed = ((rolling + np.uint64(size)) * _MULTIPLIERS[size - 1]) & np.uint64(0xFFFFFFFF)
        found.append((mixed >> np.uint64(16)).astype(np.int64))
    return np.concatenate(found)


class LanguageModel:
    """Weights [buckets, languages] in int8 with one scale for each language."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as stored:
            self.languages: tuple[str, ...] = tuple(map(str, stored["languages"]))
            self._weights: npt.NDArray[np.int8] = stored["weights"]
            self._scales: npt.NDArray[np.float32] = stored["scales"]
            self._bias: npt.NDArray[np.float32] = stored["bias"]

    def probabilities(self, text: str) -> npt.NDArray[np.float32] | None:
        """Of each language, in the order of `languages`; None for a text without letters."""
        buckets = grams(text)
        if not len(buckets):
            return None
        total = self._weights[buckets].sum(axis=0, dtype=np.int32).astype(np.float32)
        logits = total * self._scales / np.sqrt(len(buckets)) + self._bias
        powers = np.exp(logits - logits.max())
        return np.asarray(powers / powers.sum(), dtype=np.float32)

    def detect(self, text: str) -> str:
        """The code of the language, "und" when unsure."""
        found = self.probabilities(text)
        if found is None or found.max() < UNSURE:
            return "und"
        return self.languages[int(found.argmax())]

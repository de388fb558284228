"""Mentions for benchmarks: sentences over a vocabulary with the long tail of real text, in any number."""

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from listener.model import (
    EMOTIONS,
    INTENTS,
    SENTIMENTS,
    STEPS,
    Analysis,
    Author,
    Mention,
    Record,
    Segment,
    Sentiment,
    mention_id,
    to_ms,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LANGUAGES = ("en", "fr", "de", "es", "it", "pt", "nl", "ru", "tr", "ar")
CHANNELS = ("google", "x", "trustpilot", "facebook", "app_store", "bluesky", "mail", "survey")
BRANDS = tuple(f"Brand{i}" for i in range(24))
_SYLLABLES = ("ba", "co", "di", "fe", "gu", "ha", "li", "mo", "ne", "pa", "ro", "su", "ti", "vu", "ze", "kra", "plo")


def vocabulary(size: int = 200_000) -> list[str]:
    """Pronounceable words, all different, the short ones first."""
    words = ("".join(parts) for n in itertools.count(2) for parts in itertools.product(_SYLLABLES, repeat=n))
    return list(itertools.islice(words, size))


class Corpus:
    """Texts of 8 to 40 words drawn by Zipf's law, spread over `days` days before NOW."""

    def __init__(self, seed: int = 1, days: int = 365) -> None:
        self._random = random.Random(seed)
        self._words = vocabulary()
        self._days = days
        weights = itertools.accumulate(1 / (rank + 20) for rank in range(len(self._words)))
        self._weights = list(weights)

    def mentions(self, count: int, start: int = 0) -> Iterator[Mention]:
        """`count` mentions with native ids from `start` on."""
        draw = self._random
        for number in range(start, start + count):
            words = draw.choices(self._words, cum_weights=self._weights, k=draw.randint(8, 40))
            at = NOW - timedelta(seconds=draw.randrange(self._days * 86_400), milliseconds=draw.randrange(1000))
            native = f"n{number}"
            yield Mention(
                mention_id("benchmark", native), native, "benchmark", "review", draw.choice(CHANNELS), " ".join(words),
                at, at + timedelta(seconds=30), to_ms(at), language=draw.choice(LANGUAGES), brand=draw.choice(BRANDS),
                author=Author(f"u{draw.randrange(300_000)}", followers=int(draw.paretovariate(0.7) * 30)),
                rating=float(draw.randint(1, 5)), url=f"https://example.invalid/{native}",
            )  # fmt: skip

    def analysed(self, mention: Mention, vector: bytes | None) -> Record:
        """The mention with two segments of drawn labels."""
        draw, half = self._random, len(mention.text) // 2
        segments = tuple(self._segment(a, b) for a, b in ((0, half), (half, len(mention.text))))
        zero = dict.fromkeys(EMOTIONS, 0.1)
        analysis = Analysis(
            "benchmark@1", mention.language or "und", self._sentiment(), zero, dict.fromkeys(INTENTS, 0.1),
            float(draw.randint(1, 5)), segments, draw.random() < 0.2, vector,
        )  # fmt: skip
        return Record(mention, analysis)

    def _sentiment(self) -> Sentiment:
        label = self._random.choice(SENTIMENTS)
        return Sentiment(label, {name: 0.8 if name == label else 0.1 for name in SENTIMENTS})

    def _segment(self, start: int, end: int) -> Segment:
        draw = self._random
        emotions = {name: 0.9 if draw.random() < 0.1 else 0.1 for name in EMOTIONS}
        intents = {name: 0.9 if draw.random() < 0.1 else 0.1 for name in INTENTS}
        step, unsure = draw.choice(STEPS), draw.random() < 0.2
        return Segment(start, end, step, 0.7, self._sentiment(), emotions, intents, None, unsure)

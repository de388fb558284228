"""Whole-text training examples drawn from the data folder, labels in the service's vocabulary.

Used in training only. NaN in a label says unknown, never negative: losses mask it.
"""

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from listener.model import EMOTIONS, INTENTS, SENTIMENTS
from nlp.training_data import Row

Floats = npt.NDArray[np.float32]
UNKNOWN = float("nan")
# Emotions a set did not annotate (emotion/SOURCES.md).
_NOT_ANNOTATED: dict[str, tuple[str, ...]] = {
    "brighter.en": ("disgust",), "brighter.af": ("surprise",), "smp2020ewect": ("disgust",),
    "emot.": ("disgust", "surprise"), "redv1": ("disgust", "surprise"), "redv2": ("disgust",),
    "turkishtweets": ("disgust",), "emotionaltone": ("disgust",), "emodift": ("joy",),
}  # fmt: skip
_NEUTRAL = frozenset({"", "neutral", "neutru", "none", "others", "other"})
_STARS = ("nsmc", "cuba_hotels", "skytrax", "avis_assurance")  # the allowed sets with native stars
# Support sets whose native labels say something on an intent: label -> (intent, whether its absence is a no).
_SUPPORT: dict[str, dict[str, str]] = {
    "churnintent": {"churn": "churn_risk"},
    "twittercomplaints": {"complaint": "complaint"},
    "purchaseintent": {"purchase_intent": "purchase_intent"},
    "minibar": {"problem_report": "complaint", "feature_request": "suggestion"},
    "googleplayreviews": {"bug report": "complaint", "feature request": "suggestion"},
}


@dataclass(frozen=True, slots=True)
class Example:
    """A text with what is known of it as a whole."""

    source: str
    kind: str
    text: str
    sentiment: int  # index in SENTIMENTS, -1 unknown
    stars: float
    emotions: Floats  # [6] of 0, 1, NaN
    intents: Floats  # [7] of 0, 1, NaN


def unknown(count: int) -> Floats:
    """A label vector of nothing but unknowns."""
    return np.full(count, UNKNOWN, dtype=np.float32)


def example(row: Row) -> Example | None:
    """The row as an example; None where its labels mean nothing here."""
    emotions, intents, sentiment, stars = unknown(len(EMOTIONS)), unknown(len(INTENTS)), -1, UNKNOWN
    kind = row.fields.get("kind", "") or ""
    if row.folder == "sentiment":
        if row.fields["label"] in SENTIMENTS:
            sentiment = SENTIMENTS.index(row.fields["label"])
        if row.fields["stars"] and row.name.startswith(_STARS):
            stars = float(row.fields["stars"])
        if sentiment < 0 and np.isnan(stars):
            return None
    elif row.folder == "emotion":
        found = _emotions(row)
        if found is None:
            return None
        emotions = found
    else:
        mapping = next((m for name, m in _SUPPORT.items() if row.name.startswith(name)), None)
        if mapping is None:
            return None
        native = set(row.fields["label"].split("|"))
        for label, intent in mapping.items():
            intents[INTENTS.index(intent)] = float(label in native)
    return Example(row.name, kind, row.text, sentiment, stars, emotions, intents)


def _emotions(row: Row) -> Floats | None:
    labels = set(filter(None, row.fields["labels"].split("|")))
    native = set(row.fields["native_labels"].casefold().split("|"))
    if not labels and not native <= _NEUTRAL and not row.name.startswith(("brighter", "goemotions")):
        return None  # only an emotion outside the six: not a neutral text
    values = np.array([float(name in labels) for name in EMOTIONS], dtype=np.float32)
    for name, absent in _NOT_ANNOTATED.items():
        if row.name.startswith(name):
            for emotion in absent:
                values[EMOTIONS.index(emotion)] = UNKNOWN
    return values


def cap(name: str) -> int:
    """How many train rows a file may give: enough for linear heads, little enough for two cores."""
    caps: Mapping[str, int] = {
        "umsab": 2000, "mabsa": 100, "brighter": 320, "goemotions": 1200, "xed-projections": 40, "xed": 200,
        "kote": 0, "tweeteval": 0, "cuba_hotels": 800, "nsmc": 800, "skytrax": 600, "avis_assurance": 800,
        "minibar": 900, "googleplayreviews": 800, "twittercomplaints": 1500, "purchaseintent": 1000,
        "churnintent": 1000,
    }  # fmt: skip
    return next((most for prefix, most in caps.items() if name.startswith(prefix)), 220)


def sample(rows: Sequence[Row], most: Callable[[str], int]) -> list[Example]:
    """At most `most(file)` examples of each file and folder, in order of file.

    Those whose hash is lowest: which rows are drawn does not depend on which others are there.
    """
    files: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row.folder != "support" or not row.name.startswith("mabsa"):
            files[row.folder, row.name].append(row)
    found: list[Example] = []
    for (_, name), members in sorted(files.items()):
        chosen = heapq.nsmallest(most(name), members, key=_lot)
        found += [made for row in chosen if (made := example(row)) is not None]
    return found


def _lot(row: Row) -> bytes:
    return hashlib.blake2b(f"{row.name}:{row.id}".encode(), digest_size=8).digest()

"""Texts that no model should be asked about: empty, only punctuation, links or names; stars without words.

The answers are the same whatever the classifier.
"""

import re
import unicodedata
from dataclasses import replace

from listener.model import EMOTIONS, INTENTS, Analysis, Sentiment

_LINK_OR_NAME = re.compile(r"(?:https?://|www\.)\S+|(?<![\w@.])@[\w.\-]+", re.IGNORECASE)
_EMOJI = re.compile(
    r"[\U0001F1E6-\U0001F1FF\U0001F300-\U0001FAFF\u2600-\u27BF\u2B05-\u2B55\u231A-\u23FF\u00A9\u00AE\u203C\u2049]"
)


def masked(text: str) -> str:
    """The text with links and @names blanked one for one, so that offsets stay."""
    return _LINK_OR_NAME.sub(lambda match: " " * len(match.group()), text)


def has_emoji(text: str) -> bool:
    """Whether an emoji or pictograph stands in it."""
    return _EMOJI.search(text) is not None


def has_words(text: str) -> bool:
    """Whether a letter or digit stands in it outside links and @names."""
    return any(char.isalnum() for char in masked(text))


def clean(text: str) -> str:
    """The text with lone surrogates, NUL and other controls replaced one for one by a blank."""
    return "".join(" " if unicodedata.category(char) in ("Cs", "Cc") else char for char in text)


def without_opinion(model: str) -> Analysis:
    """The answer to a text that says nothing: no segments, neutral, language unknown, uncertain, no vector."""
    neutral = Sentiment("neutral", {"negative": 0.05, "neutral": 0.9, "positive": 0.05})
    return Analysis(
        model, "und", neutral, dict.fromkeys(EMOTIONS, 0.0), dict.fromkeys(INTENTS, 0.0), None, (), uncertain=True
    )


def rated(answer: Analysis, rating: float | None) -> Analysis:
    """The same answer with the sentiment of the stars (1..5), marked `from_rating`; unchanged without a rating."""
    if rating is None or rating != rating:
        return answer
    stars = min(5.0, max(1.0, float(rating)))
    label = "negative" if stars < 2.5 else "positive" if stars > 3.5 else "neutral"
    scores = {name: 0.9 if name == label else 0.05 for name in ("negative", "neutral", "positive")}
    return replace(answer, sentiment=Sentiment(label, scores), stars=stars, uncertain=False, from_rating=True)


def doubted(answer: Analysis, rating: float | None) -> Analysis:
    """The same answer, uncertain as a whole where the writer's own stars (1..5) say the opposite of its label."""
    if rating is None or rating != rating:
        return answer
    label = answer.sentiment.label
    opposite = (label == "negative" and rating > 3.5) or (label == "positive" and rating < 2.5)
    return replace(answer, uncertain=True) if opposite else answer

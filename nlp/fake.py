"""A classifier without a model: keywords decide. For tests, demonstrations and machines without the model files.

It obeys the same contract suite as the real one: offsets, edge cases, determinism.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from listener.model import (
    EMOTIONS,
    INTENTS,
    SENTIMENTS,
    VECTOR_SIZE,
    Analysis,
    Explanation,
    Segment,
    Sentiment,
    Verbatim,
)
from nlp.edges import doubted, has_emoji, has_words, rated, without_opinion
from nlp.vector import quantise


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


NEGATIVE = _set(
    "bad terrible awful worst late broken lost hopeless never rude refund slow horrible"
    " mauvais nul perdu cassé retard jamais horrible déçu lent schlecht kaputt verspätet nie furchtbar"
    " malo roto perdido tarde nunca peor pessimo rotto ritardo ruim atraso плохо ужасно 差 سيء"
)
POSITIVE = _set(
    "good great excellent love perfect fast friendly thanks happy best delicious"
    " bon bien super excellent parfait rapide merci adore gut toll perfekt schnell danke freundlich"
    " bueno bien excelente rápido gracias perfecto ottimo buono veloce ótimo bom отлично хорошо 好 ممتاز"
)
STEP_WORDS: Mapping[str, frozenset[str]] = {
    "discovery": _set("website site webseite página app"),
    "reviews": _set("reviews avis bewertungen reseñas"),
    "store": _set("store shop magasin staff waiter laden tienda"),
    "purchase": _set("price prix order commande preis precio stock"),
    "payment": _set("payment paid card charged invoice paiement facture zahlung pago"),
    "reception": _set("delivery parcel livraison colis lieferung paket entrega product produit room"),
    "support": _set("support service refund hotline remboursement client kundenservice reembolso"),
    "advocacy": _set("recommend recommande empfehle recomiendo avoid"),
    "survey": _set("again cancelling loyalty points fidélité jamais nunca nie"),
}
INTENT_WORDS: Mapping[str, frozenset[str]] = {
    "churn_risk": _set("cancelling leaving résilier kündigen"),
    "escalation": _set("lawyer court police avocat tribunal anwalt abogado"),
    "purchase_intent": _set("buy acheter kaufen comprar"),
    "suggestion": _set("should suggest devriez sollte"),
}
EMOTION_WORDS: Mapping[str, frozenset[str]] = {
    "anger": _set("angry furious scandal furieux scandaleux wütend hopeless terrible worst 😡 🤬"),
    "joy": _set("love happy delighted adore thanks merci danke gracias 😍 ❤ 🎉"),
    "sadness": _set("sad disappointed déçu enttäuscht 😢 😭"),
}
NEGATIVE_EMOJI, POSITIVE_EMOJI = "😡🤬👎😢😭😠💩", "😍👍🎉😊❤😀🙏"
_WORD = re.compile(r"[^\W_]+|[\U0001F300-\U0001FAFF\u2600-\u27BF]")
_CLAUSE = re.compile(r"[^.!?。！？\n]+[.!?。！？]*(?:\s*[\U0001F300-\U0001FAFF\u2600-\u27BF\uFE0F]+)*")


def _words(text: str) -> list[str]:
    return [match.group().lower() for match in _WORD.finditer(text)]


def _sentiment(words: Sequence[str]) -> Sentiment:
    balance = sum((w in POSITIVE or w in POSITIVE_EMOJI) - (w in NEGATIVE or w in NEGATIVE_EMOJI) for w in words)
    strong = round(0.5 + 0.4 * (1 - 0.5 ** abs(balance)), 6)
    if balance == 0:
        return Sentiment("neutral", {"negative": 0.2, "neutral": 0.6, "positive": 0.2})
    rest = round(1 - strong, 6)
    scores = {"negative": rest / 2, "neutral": rest / 2, "positive": rest / 2}
    label = "positive" if balance > 0 else "negative"
    scores[label] = strong
    return Sentiment(label, scores)


def _scores(names: Sequence[str], table: Mapping[str, frozenset[str]], words: Sequence[str]) -> dict[str, float]:
    found = set(words)
    return {name: 0.9 if found & table.get(name, frozenset()) else 0.1 for name in names}


def _intents(words: Sequence[str], sentiment: Sentiment, text: str) -> dict[str, float]:
    scores = _scores(INTENTS, INTENT_WORDS, words)
    scores["complaint"] = 0.9 if sentiment.label == "negative" else 0.1
    scores["praise"] = 0.9 if sentiment.label == "positive" else 0.1
    scores["question"] = 0.9 if "?" in text or "？" in text else 0.1
    return scores


def _step(words: Sequence[str]) -> tuple[str, float]:
    counts = {step: sum(word in keys for word in words) for step, keys in STEP_WORDS.items()}
    best = max(counts, key=lambda step: counts[step])
    return (best, 0.8) if counts[best] else ("none", 0.5)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Sentences as (start, end) without blanks around; an emoji that follows one belongs to it."""
    last: tuple[int, int] | None = None
    for match in _CLAUSE.finditer(text):
        clause = match.group()
        start = match.start() + len(clause) - len(clause.lstrip())
        end = match.start() + len(clause.rstrip())
        if last is not None and has_emoji(clause) and not has_words(clause):
            last = (last[0], end)
        elif has_words(clause) or has_emoji(clause):
            if last is not None:
                yield last
            last = (start, end)
    if last is not None:
        yield last


class RuleClassifier:
    """Keywords in six languages; the same text always gives the same answer. Name `rule@1`."""

    name = "rule@1"

    def cost(self, verbatim: Verbatim) -> int:
        """About one piece for three characters."""
        return len(verbatim.text) // 3 + 2

    def analyse(self, verbatims: Sequence[Verbatim]) -> list[Analysis | Exception]:
        """One outcome per verbatim, in order; an error stands in the place of the one that failed."""
        return [self._outcome(verbatim) for verbatim in verbatims]

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Vectors of hashed words: texts that share words are near each other."""
        return [self._vector(text) for text in texts]

    def explain(self, verbatim: Verbatim, analysis: Analysis) -> list[Explanation]:
        """The keywords that spoke for the label of the whole and of each segment, at most three each."""
        found = self._keywords(verbatim.text, 0, len(verbatim.text), analysis.sentiment.label, None)
        for number, segment in enumerate(analysis.segments):
            for label in (segment.step, segment.sentiment.label):
                found += self._keywords(verbatim.text, segment.start, segment.end, label, number)
        return found

    def _keywords(self, text: str, start: int, end: int, label: str, segment: int | None) -> list[Explanation]:
        keys = {"negative": NEGATIVE, "positive": POSITIVE}.get(label) or STEP_WORDS.get(label, frozenset())
        matches = [m for m in _WORD.finditer(text, start, end) if m.group().lower() in keys]
        return [Explanation(label, m.start(), m.end(), 0.3, segment) for m in matches[:3]]

    def _outcome(self, verbatim: Verbatim) -> Analysis | Exception:
        try:
            return doubted(self._one(verbatim), verbatim.rating)
        except Exception as error:
            return error

    def _one(self, verbatim: Verbatim) -> Analysis:
        text = verbatim.text
        if not has_words(text) and not has_emoji(text):
            answer = without_opinion(self.name)
            return rated(answer, verbatim.rating) if not text.strip() else answer
        words = _words(text)
        sentiment = _sentiment(words)
        segments = tuple(self._segment(text, start, end) for start, end in _spans(text))
        language = (verbatim.language or "und").split("-")[0] if has_words(text) else "und"
        return Analysis(
            self.name, language, sentiment, _scores(EMOTIONS, EMOTION_WORDS, words), _intents(words, sentiment, text),
            {"negative": 1.5, "neutral": 3.0, "positive": 4.5}[sentiment.label], segments,
            sentiment.label == "neutral", self._vector(text),
        )  # fmt: skip

    def _segment(self, text: str, start: int, end: int) -> Segment:
        words = _words(text[start:end])
        sentiment, (step, score) = _sentiment(words), _step(words)
        return Segment(
            start, end, step, score, sentiment, _scores(EMOTIONS, EMOTION_WORDS, words),
            _intents(words, sentiment, text[start:end]), 5 if "calls" in words else None, sentiment.label == "neutral",
        )  # fmt: skip

    def _vector(self, text: str) -> bytes:
        total = np.zeros(VECTOR_SIZE, dtype=np.float32)
        for word in _words(text):
            digest = hashlib.blake2b(word.encode("utf8", "replace"), digest_size=16).digest()
            total += np.random.default_rng(int.from_bytes(digest[:8], "little")).standard_normal(VECTOR_SIZE)
        return quantise(total)


assert SENTIMENTS == ("negative", "neutral", "positive")  # the tables above name exactly these

"""The shipped classifier: one encoder pass over a verbatim gives everything `Analysis` holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from listener.model import EMOTIONS, INTENTS, SENTIMENTS, STEPS, Analysis, Explanation, Segment, Sentiment, Verbatim
from nlp import manifest
from nlp.edges import doubted, has_emoji, has_words, rated, without_opinion
from nlp.encoder import Encoded, Encoder, span_mean
from nlp.heads import Heads, SegmentScores, WholeScores
from nlp.language import LanguageModel
from nlp.segmenter import Span, limited, segments
from nlp.tokenizer import UNK, Pieces, PieceTokenizer
from nlp.vector import Floats, quantise

_REVIEW_KINDS = frozenset({"review", "survey"})
NONE = STEPS.index("none")


@dataclass(frozen=True, slots=True)
class _Read:
    """A verbatim on its way: what stands fixed before the heads speak."""

    verbatim: Verbatim
    language: str
    encoded: Encoded
    spans: list[Span]
    features: Floats  # [spans, 2 * hidden]


class OnnxClassifier:
    """The model in a folder. Not for several threads at once: the pipeline keeps one worker thread for it."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """`threads` of the encoder, 0 for one a core. Raises ConfigError where the folder holds no usable model."""
        self._manifest = manifest.read(folder)
        self._encoder = Encoder(folder / "encoder.onnx", threads)
        self._tokenizer = PieceTokenizer(folder / "tokenizer.json")
        self._languages = LanguageModel(folder / "language.npz")
        self._heads = Heads(folder / "heads.npz")

    @property
    def name(self) -> str:
        """Name and version of the model."""
        return f"{self._manifest.name}@{self._manifest.version}"

    def cost(self, verbatim: Verbatim) -> int:
        """Pieces at most, from the length alone: Latin letters make less than one piece for two characters."""
        text = verbatim.text
        return (len(text) // 2 if text.isascii() else len(text)) + 2

    def analyse(self, verbatims: Sequence[Verbatim]) -> list[Analysis | Exception]:
        """One outcome per verbatim, in order; an error stands in the place of the one that failed."""
        try:
            return list(self._batch(verbatims))
        except Exception as error:
            # Which one failed is not known: each is tried alone.
            if len(verbatims) == 1:
                return [error]
            return [outcome for verbatim in verbatims for outcome in self.analyse([verbatim])]

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Query texts as vectors of 384 signed bytes; zeros for an empty text."""
        encoded = self._encoder.encode(self._tokenizer.encode(texts)) if texts else []
        return [self._vector(e) if len(e.states) else bytes(len(e.mean)) for e in encoded]

    def explain(self, verbatim: Verbatim, analysis: Analysis) -> list[Explanation]:
        """At most three spans and 30 % of the words for each label, by leaving words out."""
        from nlp.occlusion import explain

        return explain(self, verbatim, analysis)

    def scores(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> list[tuple[WholeScores, SegmentScores]]:
        """Heads over given spans of each text, for explanations and evaluation; no rule for edge cases applies."""
        pieces = self._tokenizer.encode(texts)
        encoded = self._encoder.encode(pieces)
        return [
            (self._heads.whole(e.mean[None]), self._heads.segments(_features(e, p, s)))
            for e, p, s in zip(encoded, pieces, spans, strict=True)
        ]

    def detect(self, text: str) -> str:
        """The language of a text, "und" when unsure."""
        return self._languages.detect(text) if has_words(text) else "und"

    def cut(self, text: str, pieces: int) -> str:
        """The text up to the end of its first so many pieces."""
        (found,) = self._tokenizer.encode([text])
        return text if len(found.ids) <= pieces else text[: int(found.ends[pieces - 1])]

    def _batch(self, verbatims: Sequence[Verbatim]) -> list[Analysis]:
        outcomes: list[Analysis | None] = [None] * len(verbatims)
        speaking: list[int] = []
        for number, verbatim in enumerate(verbatims):
            if has_words(verbatim.text) or has_emoji(verbatim.text):
                speaking.append(number)
            else:
                outcomes[number] = rated(without_opinion(self.name), verbatim.rating)
        if speaking:
            pieces = self._tokenizer.encode([verbatims[number].text for number in speaking])
            encoded = self._encoder.encode(pieces)
            reads = [
                self._read(verbatims[number], p, e) for number, p, e in zip(speaking, pieces, encoded, strict=True)
            ]
            for number, analysis in zip(speaking, self._judge(reads), strict=True):
                outcomes[number] = doubted(analysis, verbatims[number].rating)
        return [outcome for outcome in outcomes if outcome is not None]

    def _read(self, verbatim: Verbatim, pieces: Pieces, encoded: Encoded) -> _Read:
        text = verbatim.text
        language = self._language(verbatim, pieces)
        spans = limited(text, segments(text, language), pieces.starts.tolist())
        return _Read(verbatim, language, encoded, spans, _features(encoded, pieces, spans))

    def _language(self, verbatim: Verbatim, pieces: Pieces) -> str:
        """As detected; a source's own word counts where that is unsure; "und" for scripts the model cannot read."""
        if not has_words(verbatim.text) or (len(pieces.ids) and float(np.mean(pieces.ids == UNK)) > 0.3):
            return "und"
        found = self._languages.detect(verbatim.text)
        declared = (verbatim.language or "").lower().split("-")[0]
        return declared if found == "und" and declared in self._languages.languages else found

    def _judge(self, reads: Sequence[_Read]) -> list[Analysis]:
        wholes = self._heads.whole(np.stack([read.encoded.mean for read in reads]))
        parts = self._heads.segments(np.concatenate([read.features for read in reads]))
        analyses, start = [], 0
        for number, read in enumerate(reads):
            end = start + len(read.spans)
            analyses.append(self._analysis(read, wholes, number, parts, range(start, end)))
            start = end
        return analyses

    def _analysis(self, read: _Read, wholes: WholeScores, number: int, parts: SegmentScores, rows: range) -> Analysis:
        sentiment = _sentiment(wholes.sentiment[number])
        unknown = read.language == "und"
        wordless = not has_words(read.verbatim.text)
        found = tuple(
            self._segment(span, parts, row, unknown, sentiment if wordless else None)
            for span, row in zip(read.spans, rows, strict=True)
        )
        intents = parts.intents[rows.start : rows.stop].max(axis=0) if rows else wholes.intents[number]
        kind = "review" if read.verbatim.kind in _REVIEW_KINDS else "social"
        return Analysis(
            model=self.name,
            language=read.language,
            sentiment=sentiment,
            emotions=_named(EMOTIONS, wholes.emotions[number]),
            intents=_named(INTENTS, intents),
            stars=round(float(wholes.stars[number]), 3),
            segments=found,
            uncertain=unknown or self._unsure(sentiment, kind),
            vector=self._vector(read.encoded),
        )

    def _segment(
        self, span: Span, parts: SegmentScores, row: int, unknown: bool, emoji_sentiment: Sentiment | None
    ) -> Segment:
        """One segment; only emoji: outside the journey, with the feeling of the text as a whole."""
        step = NONE if emoji_sentiment else int(parts.step[row].argmax())
        sentiment = emoji_sentiment or _sentiment(parts.sentiment[row])
        return Segment(
            start=span[0],
            end=span[1],
            step=STEPS[step],
            step_score=round(float(parts.step[row, step]), 6),
            sentiment=sentiment,
            emotions=_named(EMOTIONS, parts.emotions[row]),
            intents=_named(INTENTS, parts.intents[row]),
            effort=int(parts.effort[row]) or None,
            uncertain=unknown or self._unsure(sentiment, "segment"),
        )

    def _unsure(self, sentiment: Sentiment, kind: str) -> bool:
        negative = sentiment.scores["negative"]
        return max(negative, 1.0 - negative) < self._manifest.certain[kind]

    def _vector(self, encoded: Encoded) -> bytes:
        centred = encoded.mean - self._heads.centre
        return quantise(centred / max(float(np.linalg.norm(centred)), 1e-9))


def _features(encoded: Encoded, pieces: Pieces, spans: Sequence[Span]) -> Floats:
    rows = [np.concatenate([span_mean(encoded, pieces, start, end), encoded.mean]) for start, end in spans]
    return np.stack(rows) if rows else np.empty((0, 2 * len(encoded.mean)), dtype=np.float32)


def _named(names: Sequence[str], scores: Floats) -> Mapping[str, float]:
    return {name: round(float(score), 6) for name, score in zip(names, scores, strict=True)}


def _sentiment(scores: Floats) -> Sentiment:
    named = _named(SENTIMENTS, scores)
    return Sentiment(max(named, key=lambda name: named[name]), named)

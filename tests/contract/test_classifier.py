"""What every classifier promises, the shipped model and the keyword one alike."""

import math

import pytest

from listener.model import EMOTIONS, INTENTS, SENTIMENTS, STEPS, Analysis, Verbatim
from nlp.classifier import Classifier
from nlp.fake import RuleClassifier
from nlp.registry import MODELS, load
from nlp.vector import unit

TEXTS = [
    "Fast delivery but the customer service is hopeless, I am cancelling. 😡",
    "Livraison rapide, merci ! Par contre le prix est trop élevé…",
    "الخدمة سيئة جدا ولكن الطعام ممتاز",
    "配送很快，但是客服态度差。",
    "cafe\u0301 tres\u0300 bon\u2764\ufe0f ＦＵＬＬ width",
    "ok",
    "👍👍",
    "a\x00b \ud800 broken but alive",
]


@pytest.fixture(scope="module", params=["rule", "listener-e5"])
def classifier(request: pytest.FixtureRequest) -> Classifier:
    if request.param != "rule" and not (MODELS / request.param / "manifest.json").exists():
        pytest.skip("the model files are not in this checkout")
    return load(request.param)


def _analysis(classifier: Classifier, text: str, **more: object) -> Analysis:
    (outcome,) = classifier.analyse([Verbatim(text, **more)])  # type: ignore[arg-type]
    assert isinstance(outcome, Analysis)
    return outcome


@pytest.mark.parametrize("text", TEXTS)
def test_an_analysis_speaks_the_vocabulary_and_its_scores_are_probabilities(classifier: Classifier, text: str) -> None:
    analysis = _analysis(classifier, text)
    assert analysis.model == classifier.name
    parts = [analysis, *analysis.segments]
    for part in parts:
        assert tuple(part.sentiment.scores) == SENTIMENTS
        assert math.isclose(sum(part.sentiment.scores.values()), 1, abs_tol=1e-4)
        assert part.sentiment.label == max(part.sentiment.scores, key=lambda name: part.sentiment.scores[name])
        assert tuple(part.emotions) == EMOTIONS
        assert tuple(part.intents) == INTENTS
        assert all(0 <= score <= 1 for score in [*part.emotions.values(), *part.intents.values()])
    assert all(segment.step in STEPS and 0 <= segment.step_score <= 1 for segment in analysis.segments)
    assert analysis.stars is None or 1 <= analysis.stars <= 5


@pytest.mark.parametrize("text", TEXTS)
def test_segments_are_ordered_disjoint_spans_of_the_original_text_without_blanks_around(
    classifier: Classifier, text: str
) -> None:
    analysis = _analysis(classifier, text)
    assert analysis.segments
    at = 0
    for segment in analysis.segments:
        assert at <= segment.start < segment.end <= len(text)
        span = text[segment.start : segment.end]
        assert span == span.strip()
        at = segment.end


def test_a_text_has_the_same_labels_and_scores_alone_and_in_any_batch(classifier: Classifier) -> None:
    together = classifier.analyse([Verbatim(text) for text in TEXTS * 3])
    for text, other in zip(TEXTS * 3, together, strict=True):
        alone = _analysis(classifier, text)
        assert isinstance(other, Analysis)
        assert alone.sentiment.label == other.sentiment.label
        for name in SENTIMENTS:
            assert abs(alone.sentiment.scores[name] - other.sentiment.scores[name]) < 1e-3
        assert [(s.start, s.end, s.step) for s in alone.segments] == [(s.start, s.end, s.step) for s in other.segments]


@pytest.mark.parametrize(
    "text", ["", "   \n", "!!! ...", "https://example.org/a?b=c", "@anna @bob.c", "@anna: www.x.org !"]
)
def test_a_text_that_says_nothing_has_no_segments_and_is_uncertain(classifier: Classifier, text: str) -> None:
    analysis = _analysis(classifier, text)
    assert analysis.segments == ()
    assert analysis.sentiment.label == "neutral"
    assert analysis.language == "und"
    assert analysis.uncertain
    assert not analysis.from_rating


@pytest.mark.parametrize(
    ("rating", "label"), [(1, "negative"), (2, "negative"), (3, "neutral"), (4, "positive"), (5, "positive")]
)
def test_a_rating_without_text_gives_the_sentiment_of_the_stars_and_says_so(
    classifier: Classifier, rating: float, label: str
) -> None:
    analysis = _analysis(classifier, "", rating=rating)
    assert analysis.from_rating
    assert analysis.sentiment.label == label
    assert analysis.stars == rating


@pytest.mark.parametrize(("text", "label"), [("😡🤬", "negative"), ("😍❤️", "positive")])
def test_only_emoji_is_one_segment_outside_the_journey_with_the_feeling_of_the_emoji(
    classifier: Classifier, text: str, label: str
) -> None:
    analysis = _analysis(classifier, text)
    (segment,) = analysis.segments
    assert segment.step == "none"
    assert segment.sentiment.label == analysis.sentiment.label == label


def test_an_unknown_language_gets_an_answer_and_is_marked_uncertain_by_the_shipped_model(
    classifier: Classifier,
) -> None:
    analysis = _analysis(classifier, "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ ᎣᏍᏓ ᎢᎦ")
    assert analysis.segments
    assert analysis.language == "und"
    if not isinstance(classifier, RuleClassifier):
        assert analysis.uncertain
        assert all(segment.uncertain for segment in analysis.segments)


def test_emoji_stay_with_the_clause_they_colour(classifier: Classifier) -> None:
    text = "The delivery was terrible. 😡 The staff was friendly."
    first, second = _analysis(classifier, text).segments
    assert text[first.start : first.end].endswith("😡")
    assert text[second.start : second.end] == "The staff was friendly."


def test_vectors_of_analyses_and_queries_are_comparable_and_alike_for_the_same_text(classifier: Classifier) -> None:
    text = "The parcel arrived broken"
    (query,) = classifier.embed([text])
    vector = _analysis(classifier, text).vector
    assert vector is not None
    assert len(query) == len(vector) == 384
    assert float(unit(query) @ unit(vector)) > 0.999
    assert classifier.embed([]) == []


def test_costs_rise_with_the_text_and_are_never_zero(classifier: Classifier) -> None:
    assert 0 < classifier.cost(Verbatim("")) < classifier.cost(Verbatim("word " * 100))


def test_explanations_lie_in_the_text_and_name_labels_of_the_analysis(classifier: Classifier) -> None:
    text = "The delivery was very late and the driver was rude. But the staff in the shop was friendly and helpful."
    verbatim = Verbatim(text)
    analysis = _analysis(classifier, text)
    explanations = classifier.explain(verbatim, analysis)
    assert any(item.segment is None for item in explanations)
    for item in explanations:
        assert 0 <= item.start < item.end <= len(text)
        assert item.weight > 0
        part = analysis if item.segment is None else analysis.segments[item.segment]
        known = {part.sentiment.label} | ({part.step} if item.segment is not None else set())  # type: ignore[union-attr]
        assert item.label in known
    for key in {(item.segment, item.label) for item in explanations}:
        assert sum((item.segment, item.label) == key for item in explanations) <= 3


def test_one_text_that_cannot_be_read_does_not_take_the_others_with_it(classifier: Classifier) -> None:
    good = Verbatim("Great service")
    bad = Verbatim(None)  # type: ignore[arg-type]
    first, second, third = classifier.analyse([good, bad, good])
    assert isinstance(first, Analysis)
    assert isinstance(second, Exception)
    assert isinstance(third, Analysis)


@pytest.mark.parametrize("text", ["", "   ", "...", "https://example.invalid/x @ana", "😀", "ok"])
def test_what_has_little_or_nothing_to_explain_is_explained_without_failing(classifier: Classifier, text: str) -> None:
    verbatim = Verbatim(text)
    analysis = _analysis(classifier, text)
    for explanation in classifier.explain(verbatim, analysis):
        assert 0 <= explanation.start < explanation.end <= len(text)


def test_the_writers_own_stars_against_the_label_make_it_uncertain(classifier: Classifier) -> None:
    text = "terrible, the worst service, never again, everything was broken"
    assert _analysis(classifier, text).sentiment.label == "negative"
    assert _analysis(classifier, text, rating=5.0, kind="review").uncertain
    assert _analysis(classifier, text, rating=1.0).uncertain == _analysis(classifier, text).uncertain

"""The shipped model's files, its registry, long texts, explanations, measures and training rules."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from listener.errors import ConfigError, InputError
from listener.model import EMOTIONS, INTENTS, SENTIMENTS, Analysis, Segment, Sentiment, Verbatim
from nlp import fit, manifest, measures
from nlp import training_data as data
from nlp.encoder import WINDOW, window_starts
from nlp.registry import MODELS, load, names
from nlp.runtime import OnnxClassifier

FOLDER = MODELS / "listener-e5"
needs_model = pytest.mark.skipif(not (FOLDER / "manifest.json").exists(), reason="the model files are not here")


@pytest.fixture(scope="module")
def classifier() -> OnnxClassifier:
    return OnnxClassifier(FOLDER, threads=1)


def _segment(start: int, end: int, label: str = "neutral") -> Segment:
    return Segment(start, end, "none", 0.5, Sentiment(label, {}), {}, {})


def _analysis(*segments: Segment) -> Analysis:
    return Analysis("m@1", "en", Sentiment("neutral", {}), {}, {}, None, segments, False)


def test_an_unknown_classifier_is_refused_with_the_names_of_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        load("bert-of-tomorrow")
    assert set(caught.value.problems[0].allowed) == set(names()) >= {"listener-e5", "rule"}


def test_an_option_that_a_classifier_does_not_take_is_an_error_of_the_settings() -> None:
    with pytest.raises(ConfigError, match="colour"):
        load("rule", colour="red")


@needs_model
def test_the_model_files_are_those_of_the_manifest_and_small_enough_to_ship() -> None:
    found = manifest.read(FOLDER)
    assert set(found.sha256) == set(manifest.FILES)
    assert set(found.certain) == {"review", "social", "segment"}
    assert sum((FOLDER / name).stat().st_size for name in manifest.FILES) <= 55_000_000


@needs_model
def test_a_damaged_or_missing_model_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(FOLDER, folder)
    (folder / "heads.npz").write_bytes(b"not the heads")
    with pytest.raises(ConfigError, match=r"heads\.npz"):
        OnnxClassifier(folder)
    (folder / "language.npz").unlink()
    (folder / "heads.npz").write_bytes((FOLDER / "heads.npz").read_bytes())
    with pytest.raises(ConfigError, match=r"language\.npz"):
        OnnxClassifier(folder)
    (folder / "manifest.json").write_text(json.dumps({"name": "x"}))
    with pytest.raises(ConfigError, match="no usable model"):
        OnnxClassifier(folder)


@pytest.mark.parametrize("pieces", [0, 1, WINDOW, WINDOW + 1, 5000])
def test_windows_cover_every_piece_of_a_long_text_and_overlap(pieces: int) -> None:
    starts = window_starts(pieces)
    covered = {at for start in starts for at in range(start, min(pieces, start + WINDOW))}
    assert covered == set(range(pieces))
    assert all(later - earlier < WINDOW for earlier, later in pairwise(starts))


@needs_model
def test_a_text_beyond_the_window_has_segments_to_its_very_end(classifier: OnnxClassifier) -> None:
    text = "The room was clean and the breakfast was good. " * 100 + "But the refund never came!"
    (analysis,) = classifier.analyse([Verbatim(text)])
    assert isinstance(analysis, Analysis)
    assert len(analysis.segments) > 50
    last = analysis.segments[-1]
    assert text[last.start : last.end] == "But the refund never came!"
    assert last.sentiment.label == "negative"


@needs_model
def test_plain_praise_and_plain_complaints_are_told_apart_in_several_languages(classifier: OnnxClassifier) -> None:
    texts = {
        "Excellent service, very friendly staff, I love it!": ("positive", "en"),
        "Service client lamentable, colis jamais reçu, je suis furieux.": ("negative", "fr"),
        "Das Essen war köstlich und das Personal sehr freundlich.": ("positive", "de"),
        "La habitación estaba sucia y el personal fue muy grosero.": ("negative", "es"),
    }
    for text, (label, language) in texts.items():
        (analysis,) = classifier.analyse([Verbatim(text, kind="review")])
        assert isinstance(analysis, Analysis)
        assert (analysis.sentiment.label, analysis.language) == (label, language)


@needs_model
def test_explained_words_are_at_most_three_spans_and_a_third_of_the_text_and_weigh_on_the_label(
    classifier: OnnxClassifier,
) -> None:
    text = "We stayed two nights in June with friends and the staff was horribly rude to all of us every day"
    verbatim = Verbatim(text)
    (analysis,) = classifier.analyse([verbatim])
    assert isinstance(analysis, Analysis)
    spans = [item for item in classifier.explain(verbatim, analysis) if item.segment is None]
    assert 1 <= len(spans) <= 3
    assert sum(len(text[item.start : item.end].split()) for item in spans) <= 0.3 * len(text.split())
    assert [item.weight for item in spans] == sorted((item.weight for item in spans), reverse=True)
    without = text
    for item in spans:
        without = without[: item.start] + " " * (item.end - item.start) + without[item.end :]
    (changed,) = classifier.analyse([Verbatim(without)])
    assert isinstance(changed, Analysis)
    label = analysis.sentiment.label
    assert changed.sentiment.scores[label] < analysis.sentiment.scores[label]


@needs_model
def test_the_number_of_threads_changes_no_label_and_no_score() -> None:
    texts = [Verbatim("Late again, never on time"), Verbatim("Merci, parfait !"), Verbatim("好吃 " * 40)]
    one, two = (OnnxClassifier(FOLDER, threads=n).analyse(texts) for n in (1, 2))
    for left, right in zip(one, two, strict=True):
        assert isinstance(left, Analysis)
        assert isinstance(right, Analysis)
        assert left.sentiment.label == right.sentiment.label
        for table, other in ((left.emotions, right.emotions), (left.intents, right.intents)):
            assert all(abs(table[name] - other[name]) < 1e-3 for name in table)


def test_a_gold_segment_takes_the_prediction_that_overlaps_it_most_the_last_of_equals() -> None:
    first, second, third = _segment(0, 10), _segment(10, 20), _segment(20, 30)
    analysis = _analysis(first, second, third)
    assert measures.matched({"start": 8, "end": 20}, analysis) is second
    assert measures.matched({"start": 5, "end": 15}, analysis) is second
    assert measures.matched({"start": 40, "end": 50}, analysis) is None
    assert measures.met({"start": 0, "end": 20}, analysis)
    assert not measures.met({"start": 0, "end": 21}, analysis)


def test_macro_f1_is_the_mean_over_the_labels_that_occur() -> None:
    assert measures.macro_f1(["a", "a", "b", "b"], ["a", "a", "b", "a"], ["a", "b", "c"]) == pytest.approx(
        (0.8 + 2 / 3) / 2
    )
    assert measures.f1([True, False], [False, False]) == 0


def _row(name: str, text: str, split: str = "train", identifier: str = "1") -> data.Row:
    return data.Row("sentiment", name, identifier, text, split, {})


def test_no_row_of_a_forbidden_licence_and_no_text_of_a_validation_split_is_trained_on() -> None:
    held = _row("umsab.fr", "Très bien! @ana http://x.y", "validation")
    parallel = _row("mabsa.en", "Good phone", "validation", "phone-dev-1")
    rows = [
        held, parallel, _row("umsab.fr", "autre texte"), _row("laroseda.ro", "bun"), _row("norec_sentence.no", "bra"),
        _row("us_airline.en", "late"), _row("semeval16_rest.fr", "bon"), _row("tickets.fr", "aide"),
        _row("other.fr", "très   BIEN @zoe"), _row("mabsa.fr", "Bon téléphone", "train", "phone-dev-1"),
        _row("other.fr", "dans le journey de validation"),
    ]  # fmt: skip
    leaks = data.Leaks(rows, [{"text": "Dans le journey, de validation."}])
    assert [row.text for row in data.trainable(rows, leaks)] == ["autre texte"]


def test_rows_without_a_split_are_divided_by_their_id_and_languages_are_reduced() -> None:
    splits = [data.split_of(str(number), "none") for number in range(1000)]
    assert 60 < splits.count("validation") < 140
    assert data.split_of("5", "train") == "train"
    assert [data.language_of(n) for n in ("brighter.arq", "x.pt-br", "y.zh-tw", "z.fr")] == ["ar", "pt", "zh", "fr"]


def test_fitted_heads_separate_what_is_separable_and_thresholds_keep_their_promise() -> None:
    draw = np.random.default_rng(0)
    features = draw.standard_normal((600, 8)).astype(np.float32)
    gold = (features[:, 0] + 0.1 * draw.standard_normal(600) > 0).astype(np.int64)
    head = fit.classes(features, gold, 2, np.ones(600, dtype=np.float32), 1e-3)
    assert (head(features).argmax(axis=1) == gold).mean() > 0.9
    target = gold.astype(np.float32)[:, None].copy()
    target[:50] = np.nan  # unknown, not negative
    logits = fit.labels(features, target, 1e-3)(features)[:, 0]
    point = fit.decision(logits, target[:, 0], precision=0.95)
    said = logits[50:] >= point
    assert gold[50:][said].mean() >= 0.95
    confidence = np.abs(logits)
    right = (logits > 0) == (gold == 1)
    level = fit.certain(confidence, right, 0.99)
    assert right[confidence >= level].mean() >= 0.99


@needs_model
def test_scores_have_the_names_of_the_vocabulary_in_its_order(classifier: OnnxClassifier) -> None:
    (analysis,) = classifier.analyse([Verbatim("fine")])
    assert isinstance(analysis, Analysis)
    assert (tuple(analysis.emotions), tuple(analysis.intents)) == (EMOTIONS, INTENTS)
    assert tuple(analysis.sentiment.scores) == SENTIMENTS


def test_a_file_of_another_form_is_not_taken_for_the_base_encoder(tmp_path: Path) -> None:
    from nlp import base_encoder

    path = tmp_path / "weights.bin"
    path.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(InputError, match="E5S1"):
        base_encoder.read(path)


def test_blocks_of_four_bits_are_read_low_nibble_first_and_requantised_within_half_a_step() -> None:
    pytest.importorskip("onnx", reason="the export needs the extra `train`")
    from nlp.base_encoder import Blocks, _blocks
    from nlp.export import per_output

    raw = np.float16(0.5).tobytes() + bytes(range(16))  # byte j: weight j is j, weight j + 16 is 0
    blocks = _blocks(memoryview(raw), 1, 32)
    assert blocks.nibbles[0].tolist() == [*range(16), *[0] * 16]
    assert blocks.dense()[0, :3].tolist() == [-4.0, -3.5, -3.0]
    draw = np.random.default_rng(0)
    matrix = Blocks(draw.random((6, 2)).astype(np.float16), draw.integers(0, 16, (6, 64)).astype(np.uint8))
    weights, scales = per_output(matrix)
    assert weights.shape == (64, 6)
    assert (np.abs(weights.T * scales[:, None] - matrix.dense()) <= scales[:, None] * 0.5001).all()

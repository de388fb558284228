"""Offsets, clauses and languages: what holds for any text."""

import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp import segmenter
from nlp.edges import clean, has_emoji, has_words, masked
from nlp.language import grams
from nlp.registry import MODELS
from nlp.segmenter import MAX_PIECES, limited, segments
from nlp.tokenizer import PieceTokenizer, normalise

TOKENIZER = MODELS / "listener-e5" / "tokenizer.json"
ODD = (
    "e\u0301 ﬁ ㍿ ＡＢ ① ½ ﷺ \u202bעברית\u202c ไม่ดี 한국어 각 👩‍👩‍👧 ❤️ \x00"
    " \ud800 \u200b 𝒳 Å ệ ئۇ\t\n  , . but mais 但是 http://x.y @a_b"
)
TEXTS = st.one_of(
    st.text(max_size=80),
    st.lists(st.sampled_from(list(ODD)), max_size=60).map("".join),
    st.lists(st.sampled_from(ODD.split(" ")), max_size=15).map(" ".join),
    st.text(alphabet=st.characters(), max_size=40),
)
LANGUAGES = st.sampled_from(["en", "fr", "zh", "ja", "th", "ar", "de", "und", "ko", "xx-none"])


@pytest.fixture(scope="module")
def tokenizer() -> PieceTokenizer:
    if not TOKENIZER.exists():
        pytest.skip("the model files are not in this checkout")
    return PieceTokenizer(TOKENIZER)


@given(TEXTS)
def test_cleaning_and_masking_replace_characters_one_for_one(text: str) -> None:
    assert len(clean(text)) == len(masked(text)) == len(text)
    clean(text).encode("utf8")  # no lone surrogate is left


@given(TEXTS)
@settings(deadline=None)  # the first call builds the table of characters
def test_every_normalised_character_comes_from_a_span_that_normalises_to_it(text: str) -> None:
    normal, offsets = normalise(text)
    spans = offsets if offsets is not None else [(at, at + 1) for at in range(len(text))]
    assert len(spans) == len(normal)
    last = (0, 0)
    for char, (start, end) in zip(normal, spans, strict=True):
        assert 0 <= start < end <= len(text)
        assert start >= last[0]
        assert end >= last[1]
        last = (start, end)
        source = clean(text[start:end])
        assert char in unicodedata.normalize("NFKC", source) or char == " " or char in source


@given(TEXTS)
@settings(deadline=None)
def test_pieces_cover_the_original_text_in_order(tokenizer: PieceTokenizer, text: str) -> None:
    (pieces,) = tokenizer.encode([text])
    starts, ends = pieces.starts.tolist(), pieces.ends.tolist()
    assert len(starts) == len(ends) == len(pieces.ids)
    assert starts == sorted(starts)
    assert ends == sorted(ends)
    assert all(0 <= start <= end <= len(text) for start, end in zip(starts, ends, strict=True))
    covered = {at for start, end in zip(starts, ends, strict=True) for at in range(start, end)}
    missing = [at for at in range(len(text)) if at not in covered and not clean(text)[at].isspace()]
    assert all(normalise(text[at])[0].strip() == "" for at in missing)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("cafe\u0301 tre\u0300s bon", "bon"),
        ("ＦＵＬＬ wide ok", "ok"),
        ("a\x00b \ud800 end", "end"),
        ("❤️❤️ 👩‍👩‍👧 love", "love"),
        ("ﬁne ﬂat ½ price", "price"),
        ("\u202bעברית\u202c good", "good"),
    ],
)
def test_a_word_after_odd_characters_is_found_where_it_stands(tokenizer: PieceTokenizer, text: str, word: str) -> None:
    (pieces,) = tokenizer.encode([text])
    at = text.index(word)
    inside = [(s, e) for s, e in zip(pieces.starts.tolist(), pieces.ends.tolist(), strict=True) if e > at]
    assert inside[0][0] in (at - 1, at)  # a piece may begin with the blank before it
    assert inside[-1][1] == len(text)


def _check(text: str, spans: Sequence[tuple[int, int]]) -> None:
    at = 0
    for start, end in spans:
        assert at <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        assert has_words(text[start:end]) or has_emoji(text[start:end])
        at = end


@given(TEXTS, LANGUAGES)
@settings(deadline=None)
def test_clauses_are_ordered_disjoint_spans_that_lose_no_word(text: str, language: str) -> None:
    spans = segments(text, language)
    _check(text, spans)
    inside = {at for start, end in spans for at in range(start, end)}
    shown = masked(text)
    assert all(at in inside for at, char in enumerate(text) if char.isalnum() and shown[at] == char)


@given(st.integers(1, 400), st.integers(1, 6), st.sampled_from(["word ", "w", "词", "a, "]))
@settings(deadline=None)
def test_no_clause_has_more_pieces_than_allowed(count: int, size: int, unit: str) -> None:
    text = (unit * count).strip()
    starts = list(range(0, len(text), size))
    spans = limited(text, segments(text, "en"), starts)
    _check(text, spans)
    for start, end in spans:
        assert sum(start <= at < end for at in starts) <= MAX_PIECES


@pytest.mark.parametrize("text", ["", " ", "?!…", "http://a.b/c", "@someone @else", "www.x.org ..."])
def test_a_text_without_words_has_no_clause(text: str) -> None:
    assert segments(text, "en") == []


@pytest.mark.parametrize(
    ("language", "text", "clauses"),
    [
        ("en", "Fast delivery but the service is hopeless.", ["Fast delivery", "but the service is hopeless."]),
        ("fr", "Livraison rapide mais le service est nul.", ["Livraison rapide", "mais le service est nul."]),
        ("zh", "房间很干净，但是服务员态度很差。", ["房间很干净，", "但是服务员态度很差。"]),
        ("en", "Great food! 😍 Bad staff.", ["Great food! 😍", "Bad staff."]),
        ("de", "Gutes Essen.\nSchlechter Service", ["Gutes Essen.", "Schlechter Service"]),
        ("en", "👍👍", ["👍👍"]),
        ("en", "I paid 3.50 for it", ["I paid 3.50 for it"]),
    ],
)
def test_a_text_is_cut_at_sentences_and_contrasts_and_emoji_stay_before_the_cut(
    language: str, text: str, clauses: list[str]
) -> None:
    assert [text[start:end] for start, end in segments(text, language)] == clauses


def test_spacy_is_not_imported_before_the_first_text() -> None:
    import subprocess
    import sys

    code = "import sys, nlp.runtime, nlp.registry; sys.exit('spacy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert segmenter.segments("now it is", "en")


@given(TEXTS)
def test_language_grams_stay_in_their_buckets_and_ignore_links_names_and_case(text: str) -> None:
    buckets = grams(text)
    assert ((buckets >= 0) & (buckets < 65536)).all()
    assert grams("Bonjour le monde").tolist() == grams("BONJOUR le  monde! @x http://y.z").tolist()

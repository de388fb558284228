"""The text analysis finds in every script what people look for."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from index.tokens import (
    LONGEST,
    MARK,
    VERSION,
    base_language,
    exact,
    fold,
    indexed,
    open_ended,
    stem,
    stem_languages,
    tokenize,
)
from tests.strategies import WORDS


def forms(text: str) -> list[str]:
    return [token.exact for token in tokenize(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Late DELIVERY, not good!", ["late", "delivery", "not", "good"]),
        ("L'appli n’est pas prête", ["l", "appli", "n", "est", "pas", "prete"]),
        ("qu'est-ce que c'est", ["qu", "est", "ce", "que", "c", "est"]),
        ("aujourd'hui don't customer's", ["aujourdhui", "dont", "customers"]),
        ("dell'ordine un'app", ["dell", "ordine", "un", "app"]),
        ("porte-monnaie and/or", ["porte", "monnaie", "and", "or"]),
        ("3,5/5 v1.2.3 12.03.2026 20:30 1,000.50€", ["3,5", "5", "v1.2.3", "12.03.2026", "20", "30", "1,000.50"]),
        ("bad.Never again", ["bad", "never", "again"]),
        ("Straße STRASSE Ångström Łódź Ærø œuvre", ["strasse", "strasse", "angstrom", "lodz", "aero", "oeuvre"]),
        ("İSTANBUL ISPARTA ısı", ["istanbul", "isparta", "isi"]),
        ("ＬＡＴＥ ｄｅｌｉｖｅｒｙ", ["late", "delivery"]),
        ("cafe\u0301 café", ["cafe", "cafe"]),
        ("đặng ứng dụng", ["dang", "ung", "dung"]),
        ("Ещё ёлка, мой їжак ўсё", ["еще", "елка", "мой", "їжак", "ўсе"]),
        ("Παράδοση ΠΑΡΑΔΟΣΗ σας", ["παραδοση", "παραδοση", "σασ"]),
        ("الشَّحْنُ الشحن مـــتأخر", ["الشحن", "الشحن", "متاخر"]),
        ("إلى آخر خدمة على", ["الي", "اخر", "خدمه", "علي"]),
        ("می‌خواهم کتاب ٣٫٥", ["ميخواهم", "كتاب", "3٫5"]),
        ("שָׁלוֹם ג׳ירפה", ["שלום", "גירפה"]),
        ("उत्पाद बहुत अच्छा है", ["उत्पाद", "बहुत", "अच्छा", "है"]),
        ("快递员很好", ["快递", "递员", "员很", "很好", "好"]),
        ("iPhone手机坏", ["iphone", "手机", "机坏", "坏"]),
        ("ﾊﾟｿｺﾝ パソコン", ["パソ", "ソコ", "コン", "ン", "パソ", "ソコ", "コン", "ン"]),
        ("배송이 늦다", ["배송", "송이", "이", "늦다", "다"]),
        ("ไม่ดี", ["ไม่", "ม่ดี", "ดี"]),
        ("ខ្មែរ", ["ខ្មែ" + "រ", "រ"]),
        ("👍🏽 ❤️ ❤ 👨‍👩‍👧 🇫🇷🇩🇪 1️⃣", ["👍🏽", "❤", "❤", "👨‍👩‍👧", "🇫🇷", "🇩🇪", "1⃣"]),
        ("so good👍👍", ["so", "good", "👍", "👍"]),
        ("#SuperMarque #快递 #été_2026", ["#supermarque", "#快递", "#ete_2026"]),
        ("@Ana.bsky.social. @bob_1", ["@ana.bsky.social", "@bob_1"]),
        ("ana@example.com C# a&#39;b", ["ana", "example", "com", "c", "a", "39", "b"]),
        ("see https://www.acme.com/late-delivery?x=1", ["see", "acme", "com", "late", "delivery", "x", "1"]),
        ("WWW.acme.fr", ["acme", "fr"]),
        ("a\u00a6b \x00c\ud800d e\"f 'g'", ["a", "b", "c", "d", "e", "f", "g"]),
        (" ,.!? … — «»", []),
        ("", []),
    ],
)
def test_a_text_becomes_these_tokens(text: str, expected: list[str]) -> None:
    assert forms(text) == expected


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("สินค้าไม่ดีเลย", "ไม่"),
        ("这个快递员很好", "快递员"),
        ("カスタマーサービスが悪い", "サービス"),
        ("배송이 늦어요", "배송"),
        ("ບໍ່ດີ", "ບໍ່"),
        ("ဒီပစ္စည်းမကောင်းဘူး", "မကောင်း"),
    ],
)
def test_a_word_inside_an_unspaced_run_is_found_as_consecutive_tokens(text: str, word: str) -> None:
    wanted = [token.exact for token in open_ended(tokenize(word), word)]
    stored = forms(text)
    if len(wanted) == 1:
        assert any(token.startswith(wanted[0]) for token in stored)
    else:
        assert any(stored[i : i + len(wanted)] == wanted for i in range(len(stored)))


def test_every_letter_of_a_run_starts_a_token() -> None:
    stored = forms("快递员")
    assert all(any(token.startswith(letter) for token in stored) for letter in "快递员")


@pytest.mark.parametrize(("one", "other"), [("น้ำ", "นํ้า"), ("แม่", "เเม่"), ("ｶﾞ", "ガ"), ("각", "각")])
def test_two_ways_to_type_the_same_letters_give_the_same_tokens(one: str, other: str) -> None:
    assert forms(one) == forms(other)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("delivery", "deliveries")),
        ("fr", ("livraison", "livraisons")),
        ("fr", ("commandé", "commande")),
        ("de", ("Lieferung", "Lieferungen")),
        ("ru", ("доставка", "доставки")),
        ("es", ("pedido", "pedidos")),
        ("en", ("ＤＥＬＩＶＥＲＩＥＳ", "delivery")),
        ("de", ("Liefe\u00adrungen", "Lieferung")),
        ("fr", ("livre\u0301s", "livrés")),
        ("tr", ("KALİTELİ", "kaliteli")),
        ("ar", ("الشحن", "شحن")),
        ("pt-BR", ("entrega", "entregas")),
        ("nb", ("pakke", "pakker")),
    ],
)
def test_inflected_forms_share_a_stem(language: str, words: tuple[str, str]) -> None:
    one, other = (stem(tokenize(word)[0].word, language) for word in words)
    assert one == other
    assert one is not None
    assert one.endswith(MARK + str(base_language(language)))


def test_stems_of_two_languages_never_meet() -> None:
    assert stem("service", "en") != stem("service", "fr")


@pytest.mark.parametrize("language", ["zh", "ja", "th", "und", "", None, "xx"])
def test_a_language_without_stemmer_has_no_stems(language: str | None) -> None:
    assert stem("delivery", language) is None
    assert indexed("late delivery", language) == ("late delivery", "")


def test_what_is_no_word_keeps_its_exact_form_as_stem() -> None:
    assert indexed("#Deliveries 3,5 👍 快递", "en")[1] == "#deliveries¦en 3,5¦en 👍¦en 快递¦en 递¦en"


@pytest.mark.parametrize("language", [*stem_languages(), "zh", None])
def test_both_columns_are_parallel_to_the_tokens(language: str | None) -> None:
    text = " ".join(WORDS)
    column, stems = indexed(text, language)
    tokens = tokenize(text)
    assert column.split(" ") == [token.exact for token in tokens]
    expected = [stem(token.word, language) for token in tokens] if stems else [None] * len(tokens)
    assert stems.split(" ") == expected or not stems
    assert bool(stems) == (language in stem_languages())


_TEXTS = st.text(st.characters(), max_size=40) | st.lists(st.sampled_from(WORDS)).map("".join)


@given(_TEXTS)
@example("ﷺ ⑴ ½ ŉ ʼn ǆ")
@example("\ud800\udc00 \x00")
@example("#️⃣#a️b 1️⃣2")
def test_offsets_lead_back_to_the_token(text: str) -> None:
    for token in tokenize(text):
        assert exact(text[token.start : token.end]) == token.exact
        assert 0 <= token.start < token.end <= len(text)


@given(_TEXTS)
def test_tokens_are_ordered_and_hold_nothing_an_engine_would_split(text: str) -> None:
    tokens = tokenize(text)
    assert [(t.start, t.end) for t in tokens] == sorted((t.start, t.end) for t in tokens)
    for token in tokens:
        assert token.exact
        assert len(token.exact) <= LONGEST
        assert not any(char.isspace() or char in "\"'¦*?\\\x00" for char in token.exact)


@given(_TEXTS, st.sampled_from([*stem_languages(), "zh", None]))
def test_columns_have_one_entry_per_token(text: str, language: str | None) -> None:
    column, stems = indexed(text, language)
    assert column.split() == [token.exact for token in tokenize(text)]
    if language in stem_languages():
        assert len(stems.split()) == len(column.split())


@given(_TEXTS)
def test_a_token_of_letters_is_analysed_to_itself(text: str) -> None:
    for token in tokenize(text):
        if token.exact.isalpha() and token.exact.isascii():
            assert [again.exact for again in tokenize(token.exact)] == [token.exact]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("L’Oréal", "l'oreal"),
        (" ÄRGER  & Co ", "arger & co"),
        ("Acme", "acme"),
        ("ＡＢＣ\u00a01", "abc 1"),
        ("Ещё", "еще"),
        ("快递", "快递"),
    ],
)
def test_keywords_are_folded(text: str, expected: str) -> None:
    assert fold(text) == expected


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_the_version_names_what_a_reindex_depends_on() -> None:
    assert "snowball" in VERSION
    assert "unicode" in VERSION

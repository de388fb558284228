"""Queries as people write them become the tree they mean, or an error that says where and what was expected."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from index.ast import (
    TEXT_FIELDS,
    All,
    And,
    Boost,
    Exists,
    Flag,
    Fuzzy,
    Keyword,
    Node,
    Not,
    Or,
    Phrase,
    Prefix,
    Range,
    Segments,
    Wildcard,
)
from index.limits import Limits
from index.names import FIELDS
from index.query import parse, without_words, words
from listener.errors import QueryError
from listener.model import EMOTIONS, INTENTS, SENTIMENTS, STEPS
from tests.strategies import query_texts

NOW = datetime(2026, 3, 18, 15, 30, tzinfo=UTC)


def tree(text: str) -> Node:
    return parse(text, now=NOW)


def word(text: str, *fields: str, slop: int = 0) -> Phrase:
    parts = tuple(text.split())
    return Phrase(fields or TEXT_FIELDS, parts, parts, slop)


def segment(field: str, value: str) -> Segments:
    return Segments(Keyword(field, value))


A, B, C, D = word("a"), word("b"), word("c"), word("d")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", All()),
        ("  \n", All()),
        ("*", All()),
        ("**", All()),
        ("(*)", All()),
        ("a b", And((A, B))),
        ("a AND b", And((A, B))),
        ("a && b", And((A, B))),
        ("a&&b", And((A, B))),
        ("a OR b", Or((A, B))),
        ("a || b", Or((A, B))),
        ("a||b||c", Or((A, B, C))),
        ("+a +b", And((A, B))),
        ("a b OR c", And((A, Or((B, C))))),
        ("a OR b c", And((Or((A, B)), C))),
        ("a OR b AND c", Or((A, And((B, C))))),
        ("a AND b OR c", Or((And((A, B)), C))),
        ("(a OR b) c", And((Or((A, B)), C))),
        ("a (b c) d", And((A, B, C, D))),
        ("-a", Not(A)),
        ("!a", Not(A)),
        ("NOT a", Not(A)),
        ("a -b", And((A, Not(B)))),
        ("a OR b -c", And((Or((A, B)), Not(C)))),
        ("a NOT (b c)", And((A, Not(And((B, C)))))),
        ("NOT NOT a", Not(Not(A))),
        ("--a", Not(Not(A))),
        ("-(a)", Not(A)),
        ("and or not", And((word("and"), word("or"), word("not")))),
        ("a to b", And((A, word("to"), B))),
        ("a^2", Boost(A, 2.0)),
        ("(a b)^0.5", Boost(And((A, B)), 0.5)),
        ('"a b"^3', Boost(word("a b"), 3.0)),
        ('"a b"', word("a b")),
        ('"a b"~3', word("a b", slop=3)),
        ("“a b”", word("a b")),
        ("«a b»", word("a b")),
        ("„a b“", word("a b")),
        ('"a', None),
        ("a\\:b", word("a b")),
        ('a"b c"d', And((A, word("b c"), D))),
        ("deliver*", Prefix(TEXT_FIELDS, "deliver")),
        ("Livré*", Prefix(TEXT_FIELDS, "livre")),
        ("d?l*y", Wildcard(TEXT_FIELDS, "d?l*y")),
        ("réc*", Prefix(TEXT_FIELDS, "rec")),
        ("a\\*b", word("a b")),
        ("l'app*", And((word("l"), Prefix(TEXT_FIELDS, "app")))),
        ("delivry~", Fuzzy(TEXT_FIELDS, "delivry", 2)),
        ("Délivry~1", Fuzzy(TEXT_FIELDS, "delivry", 1)),
        ("delivry~0", word("delivry")),
        ("title:a", word("a", "title")),
        ("text:(a title:b)", And((word("a", "text"), word("b", "title")))),
        ("titre:a*", Prefix(("title",), "a")),
        ("text:*", Exists("text")),
        ("brand:*", Exists("brand")),
        ("sentiment:*", Segments(Exists("sentiment"))),
        ("porte-monnaie", word("porte monnaie")),
        ("24/7", word("24 7")),
        ("#mot", word("#mot")),
        ("@ana", word("@ana")),
        ("20:30", word("20 30")),
        ("time: a", And((word("time"), A))),
        ("time:", word("time")),
        ("12:30:10", word("12 30 10")),
        ("https://x.com/a?b=c*", word("x com a b c")),
        ("www.x.com:80", word("x com 80")),
        ("(https://x.com/a)", word("x com a")),
        ("(https://x.com/a)^2", Boost(word("x com a"), 2.0)),
        ("https://x.com/a^2", Boost(word("x com a"), 2.0)),
        ("(a OR https://x.com/b_(c))", Or((A, word("x com b c")))),
        ("mailto:a@b.c", word("mailto a b c")),
        ("a - b", And((A, B))),
        ("a , b ?", And((A, B))),
        ("a <3 b", And((A, word("3"), B))),
        ("a :) b", And((A, B))),
        ("[a] {b}", And((A, B))),
        (":smile: a", And((word("smile"), A))),
        ("a !", A),
        ("~ a", A),
        ("! a", A),
    ],
)
def test_syntax(text: str, expected: Node | None) -> None:
    if expected is None:
        with pytest.raises(QueryError):
            tree(text)
    else:
        assert tree(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("快递员", Phrase(TEXT_FIELDS, ("快递", "递员"), ("快递", "递员"))),
        ("快递", Phrase(TEXT_FIELDS, ("快递",), ("快递",))),
        ("员", Prefix(TEXT_FIELDS, "员")),
        ("快递*", Prefix(TEXT_FIELDS, "快递")),
        ("ไม่", Phrase(TEXT_FIELDS, ("ไม่",), ("ไม่",))),
        ('"iPhone 手"', And((Phrase(TEXT_FIELDS, ("iphone",), ("iphone",)), Prefix(TEXT_FIELDS, "手")))),
        (
            "手机 iPhone",
            And((Phrase(TEXT_FIELDS, ("手机",), ("手机",)), Phrase(TEXT_FIELDS, ("iphone",), ("iphone",)))),
        ),
        ('"手机 iPhone"', Phrase(TEXT_FIELDS, ("手机", "机", "iphone"), ("手机", "机", "iphone"))),
        ("l'appli", Phrase(TEXT_FIELDS, ("l", "appli"), ("l", "appli"))),
        ("don’t", Phrase(TEXT_FIELDS, ("dont",), ("don't",))),
        ("Réservé", Phrase(TEXT_FIELDS, ("reserve",), ("réservé",))),
        ("👍🏽", Phrase(TEXT_FIELDS, ("👍🏽",), ("👍🏽",))),
    ],
)
def test_words_are_analysed_like_texts(text: str, expected: Node) -> None:
    assert tree(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lang:FR", Keyword("lang", "fr")),
        ("langue:pt-BR", Keyword("lang", "pt")),
        ("channel:X", Keyword("channel", "x")),
        ("channel:(x OR -bluesky)", Or((Keyword("channel", "x"), Not(Keyword("channel", "bluesky"))))),
        ("canal:x", Keyword("channel", "x")),
        ('marque:"L’Oréal"', Keyword("brand", "l'oreal")),
        ("brand:Acme*", Keyword("brand", "acme*", True)),
        ('brand:"Acme*"', Keyword("brand", "acme*")),
        ("brand:A\\*c*", Keyword("brand", "a\\*c*", True)),
        ("brand:a:b", Keyword("brand", "a:b")),
        ('author:"@Ana"', Keyword("author", "ana")),
        ("auteur:@Ana", Keyword("author", "ana")),
        ("author:@an*", Keyword("author", "an*", True)),
        ('source:"my shop"', Keyword("source", "my shop")),
        ("kind:avis", Keyword("kind", "review")),
        ("case:new", Keyword("case", "new")),
        ("dossier:résolu", Keyword("case", "resolved")),
        ("owner:ana", Keyword("owner", "ana")),
        ("model:*", Exists("model")),
        ("rating:2", Range("rating", 2, 2)),
        ("note:[1 TO 2]", Range("rating", 1, 2)),
        ("rating:{1 TO 2]", Range("rating", 1, 2, False, True)),
        ("rating:[* TO 2}", Range("rating", None, 2, True, False)),
        ("rating:>=3", Range("rating", 3, None)),
        ("rating: >= 3", Range("rating", 3, None)),
        ("rating:<3,5", Range("rating", None, 3.5, True, False)),
        ("rating:-1", Range("rating", -1, -1)),
        ("rating:[-1 TO 1]", Range("rating", -1, 1)),
        ("rating:(1 OR >4)", Or((Range("rating", 1, 1), Range("rating", 4, None, False)))),
        ("followers:>=10000", Range("followers", 10000, None)),
        ("abonnés:>10", Range("followers", 10, None, False)),
        ("verified:true", Range("verified", 1, 1)),
        ("vérifié:non", Range("verified", 0, 0)),
        ("étoiles:[4 TO 5]", Range("stars", 4, 5)),
        ("overall:négatif", Keyword("overall", "negative")),
        ("is:reply", Flag("reply")),
        ("-est:réponse", Not(Flag("reply"))),
        ("is:unanalyzed", Flag("unanalysed")),
        ("has:url", Flag("has_url")),
        ("avec:lien", Flag("has_url")),
        ("has:(rating OR case)", Or((Flag("has_rating"), Flag("has_case")))),
        ("étape:réception", segment("step", "reception")),
        ("etape:Paiement", segment("step", "payment")),
        ('step:"Customer service"', segment("step", "support")),
        ('étape:"Choix et commande"', segment("step", "purchase")),
        ("sentiment:Négatif", segment("sentiment", "negative")),
        ("emotion:colère", segment("emotion", "anger")),
        ("émotion:joie", segment("emotion", "joy")),
        ("intention:churn", segment("intent", "churn_risk")),
        ('intent:"churn risk"', segment("intent", "churn_risk")),
        ("effort:5", Segments(Range("effort", 5, 5))),
        ("effort:>=4", Segments(Range("effort", 4, None))),
        ("-sentiment:negative", Not(segment("sentiment", "negative"))),
        ("segments:*", Segments(All())),
        (
            "segments:(step:reception AND sentiment:negative)",
            Segments(And((Keyword("step", "reception"), Keyword("sentiment", "negative")))),
        ),
        (
            "segments:(step:(reception OR payment) -sentiment:positive colis)",
            Segments(
                And(
                    (
                        Or((Keyword("step", "reception"), Keyword("step", "payment"))),
                        Not(Keyword("sentiment", "positive")),
                        word("colis", "text"),
                    )
                )
            ),
        ),
    ],
)
def test_fields(text: str, expected: Node) -> None:
    assert tree(text) == expected


@pytest.mark.parametrize(
    ("text", "column", "part"),
    [
        ("a foo:bar", 2, "unknown field 'foo'"),
        ("a AND (b foo:1)", 9, "unknown field"),
        ("step:foo", 5, "no value 'foo'"),
        ("a sentiment:bad", 12, "negative, neutral, positive"),
        ("rating:good", 7, "not a number"),
        ("rating:nan", 7, "not a number"),
        ("rating:[1 TO x]", 13, "not a number"),
        ("date:soon", 5, "now-7d"),
        ("date:[now TO 32]", 13, "is not a date"),
        ("is:nice", 3, "edited"),
        ("has:money", 4, "one of url, rating, case"),
        ("kind:[a TO b]", 5, "no order"),
        ("channel:", 8, "nothing follows channel:"),
        ("(channel:)", 9, "nothing follows channel:"),
        ("a (b", 2, "never closed"),
        ("a b)", 3, "closes nothing"),
        ('a "b', 2, "quote is never closed"),
        ("a AND", 2, "nothing follows AND"),
        ("a OR", 2, "nothing follows OR"),
        ("NOT", 0, "nothing follows NOT"),
        ("OR a", 0, "nothing stands before OR"),
        ("a AND AND b", 2, "nothing follows AND"),
        ("a (OR b)", 3, "nothing stands before OR"),
        ("()", 0, "empty parentheses"),
        ("a ( ) b", 2, "empty parentheses"),
        (":a", 0, "colon without a field"),
        ("rating:[1 TO", 7, "range cannot be read"),
        ("rating:[1 2]", 7, "range cannot be read"),
        ("rating:>", 8, "nothing follows >"),
        ("*a", 0, "literal first character"),
        ("a ?b", 2, "literal first character"),
        ("brand:*a", 6, "literal first character"),
        ("a^", 2, "a number"),
        ("a^1001", 0, "too large"),
        ("a~3", 0, "~1 or ~2"),
        ('"a b"~', 0, "a number"),
        ("segments:(channel:x)", 10, "whole mention"),
        ("segments:(a segments:(b))", 12, "inside segments"),
        ("- , ;", 0, "nothing to search for"),
        ("?", 0, "nothing to search for"),
        ("text:[a TO b]", 5, "no ranges"),
        ("channel:x~", 8, "fuzzy"),
        ("d*y~1", 0, "wildcards"),
        ("is:*", 3, "says nothing"),
        ("title:>3", 6, "no ranges"),
    ],
)
def test_a_mistake_is_named_with_its_column(text: str, column: int, part: str) -> None:
    with pytest.raises(QueryError) as caught:
        tree(text)
    assert part in str(caught.value)
    assert caught.value.column == column
    assert str(caught.value).startswith(f"column {column + 1}: ")


def test_an_unknown_field_names_all_known_ones() -> None:
    with pytest.raises(QueryError) as caught:
        tree("nope:1")
    assert all(field in str(caught.value) for field in FIELDS)


@pytest.mark.parametrize(
    ("field", "values"), [("step", STEPS), ("sentiment", SENTIMENTS), ("emotion", EMOTIONS), ("intent", INTENTS)]
)
def test_every_label_is_found_under_its_key(field: str, values: tuple[str, ...]) -> None:
    for value in values:
        assert tree(f"{field}:{value}") == segment(field, value)


def test_a_journey_of_ones_own_has_its_own_steps() -> None:
    steps = ("booking", "check-in", "payment")
    assert parse("step:Check-In", now=NOW, journey_steps=steps) == segment("step", "check-in")
    assert parse("étape:paiement", now=NOW, journey_steps=steps) == segment("step", "payment")
    with pytest.raises(QueryError, match="booking, check-in, payment"):
        parse("step:reception", now=NOW, journey_steps=steps)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a" * 101, "limit of 100"),
        ("a " * 11, "more than 10 words"),
        ("((((a))))", "more than 3 parentheses"),
        ("NOT " * 12 + "a", "more than 3 levels"),
        ("-" * 50 + "a", "more than 3 levels"),
    ],
)
def test_a_limit_is_named(text: str, part: str) -> None:
    with pytest.raises(QueryError, match=part):
        parse(text, now=NOW, limits=Limits(length=100, clauses=10, depth=3))


@pytest.mark.parametrize(
    ("text", "free", "rest"),
    [
        ("late delivery", "late delivery", All()),
        ("late lang:fr", "late", Keyword("lang", "fr")),
        ("快递员 员", "快递员 员", All()),
        ('"Colis Perdu" -promo', "Colis Perdu", Not(word("promo"))),
        ("title:late", "", word("late", "title")),
        ("*", "", All()),
        ("late^2 deliver* d?y", "late deliver dy", All()),
        ("(late OR lang:fr) is:own", "late", Flag("own")),
        ("segments:(late) parcel", "parcel", Segments(word("late", "text"))),
        ("-late", "", Not(word("late"))),
    ],
)
def test_free_words_and_the_filter_beside_them(text: str, free: str, rest: Node) -> None:
    assert words(tree(text)) == free
    assert without_words(tree(text)) == rest


def test_the_surface_of_words_is_kept_for_meaning_search() -> None:
    assert words(tree("L'Appli «Très Lente» étape:paiement")) == "L'Appli Très Lente"


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=60)
    | st.text('ab*?~^:()[]{}"\\+-!&|<>/ \n@#.,“”«»快TO12', max_size=30)
    | st.lists(
        st.sampled_from(
            [
                "AND",
                "OR",
                "NOT",
                "(",
                ")",
                "a",
                "lang:",
                "date:",
                "segments:(",
                "step:",
                "[1 TO 2]",
                '"',
                "~2",
                "^2",
                "-",
                ":",
                "rating:",
                ">",
                "text:",
                "*",
                "?x",
                "now",
                "http://a:b",
                "&&",
                "\\",
            ]
        )
    ).map(" ".join)
)
@example("a^1e5")
@example("date:" + "9" * 30)
@example("\x00")
@example("channel:\\")
@example("a\ud800 lang:\ud800")
def test_any_text_is_a_tree_or_a_query_error(text: str) -> None:
    column: int | None = None
    try:
        parse(text, now=NOW)
    except QueryError as error:
        column = error.column
    assert column is None or 0 <= column <= max(len(text), 1)


@settings(max_examples=150, deadline=None)
@given(query_texts())
def test_the_generated_queries_are_understood(text: str) -> None:
    assert isinstance(parse(text, now=NOW), Node)


def test_threads_parse_at_the_same_time() -> None:
    from concurrent.futures import ThreadPoolExecutor

    texts = [f"word{i} (lang:fr OR -rating:[1 TO {i}])" for i in range(200)]
    expected = [tree(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(tree, texts)) == expected

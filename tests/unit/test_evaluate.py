"""The truth of a query for one mention: phrases, segments, unsure labels, highlights."""

import fnmatch
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.ast import And, Node, Not, Or, Segments
from index.document import Document, author_of, has_link, language_of
from index.evaluate import evaluate, highlights, keyword_matches, token_matches
from index.patterns import glob, near
from index.positions import occurrences
from index.query import parse
from listener.model import (
    EMOTIONS,
    INTENTS,
    SENTIMENTS,
    Analysis,
    Author,
    Mention,
    Record,
    Segment,
    Sentiment,
    to_ms,
)
from tests.strategies import label_leaves, nodes, records

NOW = datetime(2026, 3, 18, 15, 30, tzinfo=UTC)
TEXT = "The late, late delivery of my parcel was awful. 快递员很好 https://x.com"


def feeling(label: str) -> Sentiment:
    return Sentiment(label, {name: 0.8 if name == label else 0.1 for name in SENTIMENTS})


def segment(start: int, end: int, step: str, sentiment: str, **more: object) -> Segment:
    plain = Segment(
        start, end, step, 0.9, feeling(sentiment), dict.fromkeys(EMOTIONS, 0.1), dict.fromkeys(INTENTS, 0.1)
    )
    return replace(plain, **more)  # type: ignore[arg-type]


MENTION = Mention(
    "1",
    "1",
    "shop",
    "review",
    "x",
    TEXT,
    NOW,
    NOW,
    to_ms(NOW),
    title="Awful service",
    language="fr",
    brand="L'Oréal",
    author=Author("@Ana", followers=20, verified=True),
    rating=2.0,
    parent_id="p",
)
ANALYSIS = Analysis(
    "m@1",
    "en",
    feeling("negative"),
    {},
    {},
    1.5,
    (
        segment(0, 47, "reception", "negative", emotions={"anger": 0.7, "joy": 0.49}, uncertain=True),
        segment(48, 51, "support", "positive", emotions={"joy": 0.5}, effort=3),
    ),
    True,
)
RECORD = Record(MENTION, ANALYSIS)


def holds(query: str, record: Record = RECORD, certain: bool = False) -> bool:
    return evaluate(parse(query, now=NOW), Document(record), certain)


@pytest.mark.parametrize(
    "query",
    [
        "delivery",
        "DELIVERIES",
        "late delivery",
        '"late delivery"',
        '"my parcels"',
        '"delivery late"~2',
        '"late late"',
        '"late parcel"~3',
        '"parcel delivery"~4',
        '"late delivery late"~3',
        "快递员",
        "员",
        "递员很",
        "deli*",
        "d*y",
        "d?livery",
        "delivry~1",
        "dleivery~1",
        "awful",
        "title:awful",
        "text:awful",
        "service",
        "title:services",
        "x.com",
        "*",
        'brand:"l’oreal"',
        "brand:l*",
        "author:ana",
        "auteur:@ANA",
        "lang:en",
        "channel:X",
        "rating:2",
        "rating:[1 TO 2]",
        "rating:{1 TO 3}",
        "followers:>=20",
        "verified:true",
        "stars:<2",
        "overall:negative",
        "date:now",
        "date:[now-1d TO now]",
        "received:2026-03",
        "is:reply",
        "has:url",
        "has:rating",
        "is:uncertain",
        "-is:own",
        "-is:edited",
        "-is:unanalysed",
        "sentiment:negative",
        "sentiment:positive",
        "step:support",
        "emotion:anger",
        "emotion:joy",
        "effort:3",
        "effort:*",
        "title:*",
        "model:m@1",
        "segments:*",
        "segments:(step:support 快递员)",
        "segments:(delivery sentiment:negative)",
        "segments:(-sentiment:negative)",
        "-step:payment",
        "-lang:fr",
        "-product:*",
        "nothing OR parcel",
        "source:shop kind:review",
    ],
)
def test_holds(query: str) -> None:
    assert holds(query)


@pytest.mark.parametrize(
    "query",
    [
        "livraison",
        '"delivery late"',
        '"delivery late"~1',
        '"late late late"~9',
        '"parcel delivery"~3',
        "title:parcel",
        "text:service",
        "员*员",
        "delivry~1 -delivery",
        "elivery~1",
        "dlvry~1",
        '"awful awful"~9',
        "brand:acme",
        "brand:oreal",
        "lang:fr",
        "rating:{2 TO 3]",
        "rating:>2",
        "followers:<20",
        "verified:false",
        "stars:>1.5",
        "overall:positive",
        "date:<now",
        "is:edited",
        "is:own",
        "has:case",
        "case:new",
        "owner:ana",
        "is:overdue",
        "step:payment",
        "segments:(step:support sentiment:negative)",
        "segments:(step:support delivery)",
        "segments:(step:reception 快递)",
        "segments:(员很)",
        "segments:(sentiment:negative -step:reception)",
        "emotion:fear",
        "effort:4",
        "product:*",
        "-segments:*",
        "-sentiment:negative",
        "sentiment:positive -sentiment:negative",
        '"快递员很好 x"~0 y',
    ],
)
def test_does_not_hold(query: str) -> None:
    assert not holds(query)


def test_a_phrase_does_not_mix_exact_words_with_stems() -> None:
    assert not holds('"the delivery of"~0 "late deliver the"')
    assert holds('"the late late"')


def test_stems_are_those_of_the_detected_language() -> None:
    french = replace(
        RECORD, mention=replace(MENTION, text="deux livraisons"), analysis=replace(ANALYSIS, language="fr", segments=())
    )
    assert holds("livraison", french)
    assert not holds("livraison", replace(french, analysis=replace(ANALYSIS, language="zh", segments=())))


@pytest.mark.parametrize(
    ("detected", "declared", "expected"),
    [
        ("en", "fr", "en"),
        ("und", "fr-CA", "fr"),
        ("und", None, None),
        (None, "pt_BR", "pt"),
        (None, None, None),
        ("nb", None, "no"),
    ],
)
def test_the_language_is_the_detected_one_else_the_declared(
    detected: str | None, declared: str | None, expected: str | None
) -> None:
    analysis = replace(ANALYSIS, language=detected) if detected else None
    assert language_of(Record(replace(MENTION, language=declared), analysis)) == expected


def test_the_author_is_the_handle_else_the_name() -> None:
    assert author_of(replace(MENTION, author=Author(name="Ana  Silva"))) == "ana silva"
    assert author_of(replace(MENTION, author=Author(handle="@@Ana", name="x"))) == "ana"
    assert author_of(replace(MENTION, author=Author())) is None


@pytest.mark.parametrize(
    ("text", "expected"), [("see HTTPS://a.b", True), ("www.a.b", True), ("a.b http", False), ("", False)]
)
def test_a_link_stands_in_the_text(text: str, expected: bool) -> None:
    assert has_link(replace(MENTION, text=text, title=None, url="https://shop.invalid/1")) is expected


def test_the_state_of_the_case_is_given() -> None:
    document = Document(RECORD, case="new", owner="Ana", overdue=True)
    assert evaluate(parse("case:new owner:ana is:overdue has:case", now=NOW), document)


def test_without_analysis_labels_are_absent() -> None:
    bare = Record(MENTION)
    assert holds("is:unanalysed -sentiment:negative -segments:* -stars:* -overall:* lang:fr delivery", bare)
    assert not holds("sentiment:negative OR overall:negative OR stars:[* TO 5] OR is:uncertain", bare)


# --- unsure labels --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "certain"),
    [
        ("sentiment:negative", False),
        ("sentiment:positive", True),
        ("step:reception", False),
        ("-step:payment", False),
        ("emotion:joy", True),
        ("emotion:anger", False),
        ("effort:3", True),
        ("overall:negative", False),
        ("stars:<2", False),
        ("-overall:positive", False),
        ("sentiment:negative OR rating:2", True),
        ("sentiment:negative rating:2", False),
        ("segments:(delivery)", True),
        ("segments:*", True),
        ("sentiment:*", True),
        ("segments:(delivery -sentiment:positive)", False),
        ("segments:(快递 sentiment:positive)", True),
        ("late", True),
        ("is:uncertain", True),
        ("-(sentiment:positive step:payment)", False),
        ("-(step:payment lang:fr)", True),
    ],
)
def test_a_match_through_an_unsure_label_is_not_certain(query: str, certain: bool) -> None:
    assert holds(query)
    assert holds(query, certain=True) is certain


@settings(max_examples=80, deadline=None)
@given(nodes(), records())
def test_what_is_certain_holds_anyway(node: Node, record: Record) -> None:
    document = Document(record)
    assert evaluate(node, document) or not evaluate(node, document, certain=True)


@settings(max_examples=80, deadline=None)
@given(label_leaves(), label_leaves(), records(analysed=True), st.data())
def test_what_is_certain_holds_whatever_the_unsure_labels_are(
    one: Node, other: Node, record: Record, data: st.DataObject
) -> None:
    node = data.draw(
        st.sampled_from(
            [
                Segments(one),
                Segments(Or((one, Not(other)))),
                And((Segments(one), Not(Segments(other)))),
                Not(Segments(And((one, other)))),
            ]
        )
    )
    assert record.analysis is not None
    if not evaluate(node, Document(record), certain=True):
        return
    changed = tuple(
        replace(
            part,
            step=data.draw(st.sampled_from(("payment", "none", "reception"))),
            sentiment=feeling(data.draw(st.sampled_from(SENTIMENTS))),
            emotions={name: data.draw(st.sampled_from((0.2, 0.8))) for name in EMOTIONS},
            intents={name: data.draw(st.sampled_from((0.2, 0.8))) for name in INTENTS},
            effort=data.draw(st.sampled_from((None, 1, 3, 5))),
        )
        if part.uncertain
        else part
        for part in record.analysis.segments
    )
    assert evaluate(node, Document(replace(record, analysis=replace(record.analysis, segments=changed))))


# --- algebra --------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(nodes(), nodes(), records())
def test_the_operators_are_boolean(one: Node, other: Node, record: Record) -> None:
    document = Document(record)
    first, second = evaluate(one, document), evaluate(other, document)
    assert evaluate(And((one, other)), document) == (first and second)
    assert evaluate(Or((one, other)), document) == (first or second)
    assert evaluate(Not(one), document) == (not first)


# --- positions and patterns, against the plainest code --------------------------------------------


@settings(max_examples=300)
@given(
    st.text("abc", max_size=8),
    st.text("abc", min_size=1, max_size=4),
    st.integers(0, 5),
    st.integers(0, 3),
    st.integers(0, 9),
)
def test_a_phrase_stands_where_trying_all_positions_says(
    text: str, terms: str, slop: int, first: int, last: int
) -> None:
    places = {term: [i for i, char in enumerate(text) if char == term] for term in set(text)}
    ways = [
        chosen
        for chosen in product(range(first, min(last, len(text))), repeat=len(terms))
        if len(set(chosen)) == len(chosen)
        and all(text[p] == term for p, term in zip(chosen, terms, strict=True))
        and max(p - i for i, p in enumerate(chosen)) - min(p - i for i, p in enumerate(chosen)) <= slop
    ]
    found = list(occurrences(terms, places, slop, first, last))
    assert bool(found) == bool(ways)
    assert set(found) <= set(ways)


@given(st.text("ab", max_size=12), st.text("ab*?", max_size=8))
def test_a_pattern_is_that_of_the_standard_library(text: str, rest: str) -> None:
    assert glob("a" + rest, "a" + text) == fnmatch.fnmatchcase("a" + text, "a" + rest)


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert not glob("a*" * 500 + "b", "a" * 20_000)


def _distance(one: str, other: str) -> int:
    if not one or not other:
        return len(one) + len(other)
    best = min(
        _distance(one[1:], other) + 1,
        _distance(one, other[1:]) + 1,
        _distance(one[1:], other[1:]) + (one[0] != other[0]),
    )
    if len(one) > 1 and len(other) > 1 and one[:2] == other[1::-1]:
        best = min(best, _distance(one[2:], other[2:]) + 1)
    return best


@settings(deadline=None)
@given(st.text("abc", max_size=5), st.text("abc", max_size=5), st.integers(1, 2))
def test_near_words_are_those_within_so_many_edits(one: str, other: str, distance: int) -> None:
    assert near("x" + one, "x" + other, distance) == (_distance(one, other) <= distance)


def test_stored_values_are_compared_as_in_memory() -> None:
    fuzzy = parse("delivry~1", now=NOW)
    assert token_matches(fuzzy, "delivery")
    assert not token_matches(fuzzy, "deliveries")
    assert keyword_matches("acme", "ac*", True)
    assert not keyword_matches("acme", "ac*", False)


# --- highlights -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("deliveries", ["text: delivery"]),
        ("late", ["text: late", "text: late"]),
        ('"late delivery"', ["text: late delivery"]),
        ('"delivery parcel"~3', ["text: delivery", "text: parcel"]),
        ("awful", ["text: awful", "title: Awful"]),
        ("快递员", ["text: 快递员"]),
        ("late -parcel", ["text: late", "text: late"]),
        ("title:awful", ["title: Awful"]),
        ("deli* OR zzz", ["text: delivery"]),
        ("segments:(sentiment:positive 快递)", ["text: 快递"]),
        ("segments:(sentiment:positive late)", []),
        ("lang:en", []),
        ("late^2 (parcel OR x)", ["text: late", "text: late", "text: parcel", "text: x"]),
    ],
)
def test_highlights_are_the_words_of_the_original_text(query: str, expected: list[str]) -> None:
    found = highlights(parse(query, now=NOW), Document(RECORD))
    texts = {"text": TEXT, "title": MENTION.title or ""}
    assert [f"{field}: {texts[field][start:end]}" for field, start, end in found] == expected


@settings(max_examples=80, deadline=None)
@given(nodes(), records())
def test_highlights_are_ordered_disjoint_and_inside_their_field(node: Node, record: Record) -> None:
    before: dict[str, int] = {}
    for field, start, end in highlights(node, Document(record)):
        text = record.mention.text if field == "text" else record.mention.title or ""
        assert before.get(field, -1) < start < end <= len(text)
        before[field] = end


def test_an_edited_mention_is_one_whose_version_is_later() -> None:
    later = to_ms(NOW + timedelta(seconds=1))
    assert holds("is:edited", Record(replace(MENTION, version=later)))

"""What an alert says: why it fired, who said what, and that it stays bounded."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from index.contract import Alert, Evidence, Subscription
from index.document import Document
from index.evaluate import evaluate
from index.query import parse
from listener.alerts import MAX_EVIDENCE
from listener.errors import ConfigError
from listener.evidence import MAX_TEXT, describe
from listener.model import EMOTIONS, INTENTS, Analysis, Author, Mention, Record, Segment, Sentiment, to_ms
from listener.presets import influencer_query, preset, presets
from listener.render import render, why

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT = "Lovely shop. But the parcel came broken, I am furious."


def feeling(label: str) -> Sentiment:
    others = {"negative": 0.1, "neutral": 0.1, "positive": 0.1}
    return Sentiment(label, {**others, label: 0.8})


def scores(names: tuple[str, ...], *high: str) -> dict[str, float]:
    return {name: 0.9 if name in high else 0.1 for name in names}


def segment(text: str, clause: str, step: str, label: str, *emotions: str, uncertain: bool = False) -> Segment:
    start = text.index(clause)
    return Segment(
        start, start + len(clause), step, 0.9, feeling(label), scores(EMOTIONS, *emotions), scores(INTENTS),
        uncertain=uncertain,
    )  # fmt: skip


def record(text: str = TEXT, *, overall: str = "negative", analysed: bool = True, **fields: Any) -> Record:
    author = Author(handle="ana", name="Ana", followers=2_400_000, verified=True)
    mention = Mention("a" * 32, "1", "src", "post", "x", text, NOON, NOON, to_ms(NOON), brand="Acme", author=author)
    segments = (
        (segment(text, "Lovely shop.", "store", "positive", "joy"),
         segment(text, "the parcel came broken, I am furious", "reception", "negative", "anger"))
        if text == TEXT else ()
    )  # fmt: skip
    analysis = Analysis(
        "m@1", "en", feeling(overall), scores(EMOTIONS), scores(INTENTS), 1.5, segments, uncertain=False
    )
    return Record(replace(mention, **fields), analysis if analysed else None)


def evidence(query: str, one: Record | None = None, name: str = "") -> Evidence:
    found = one or record()
    data = describe(found, Subscription("s", query, NOON, name=name), NOON)
    return Evidence(found.mention.id, found.mention.version, NOON, data)


# --- why it fired ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "reasons"),
    [
        ("sentiment:negative",
         'clause "the parcel came broken, I am furious" is negative about Delivery and use (anger)'),
        ("segments:(step:store AND sentiment:positive)",
         'clause "Lovely shop." is positive about Store and welcome (joy)'),
        ("followers:>=10000", "author @ana has 2,400,000 followers (threshold 10,000 on x)"),
        ("overall:negative", "the whole text is negative"),
        ("parcel broken", 'says "parcel"; says "broken"'),
        ('"parcel came"', 'says "parcel came"'),
        ("verified:true", "author @ana is verified"),
        ("brand:acme", "brand is Acme"),
        ("brand:acme verified:true", "author @ana is verified"),
    ],
)  # fmt: skip
def test_an_alert_says_in_words_why_it_fired(query: str, reasons: str) -> None:
    assert why(evidence(query)) == f'matches "{query}": {reasons}'


def test_of_an_either_or_only_the_true_side_is_told() -> None:
    told = why(evidence("(followers:>=10000 channel:x) OR (followers:>=2000 channel:bluesky) OR refund"))
    assert told.count("followers (") == 1
    assert "refund" not in told.split('": ')[1]


def test_what_must_not_be_there_is_no_reason() -> None:
    assert why(evidence("broken -refund")) == 'matches "broken -refund": says "broken"'


def test_an_uncertain_label_is_never_told_as_a_reason() -> None:
    found = record()
    assert found.analysis is not None
    doubtful = tuple(replace(one, uncertain=True) for one in found.analysis.segments)
    found = replace(found, analysis=replace(found.analysis, segments=doubtful))
    query = "broken OR sentiment:negative"
    assert why(evidence(query, found)) == f'matches "{query}": says "broken"'


def test_an_uncertain_whole_is_never_told_as_a_reason() -> None:
    found = record()
    assert found.analysis is not None
    found = replace(found, analysis=replace(found.analysis, uncertain=True))
    query = "broken OR overall:negative"
    assert why(evidence(query, found)) == f'matches "{query}": says "broken"'


def test_a_query_for_everything_has_no_reason_but_itself() -> None:
    assert why(evidence("*")) == 'matches "*"'


def test_a_named_subscription_is_called_by_its_name() -> None:
    assert why(evidence("verified:true", name="stars")) == "stars: author @ana is verified"


def test_a_mention_without_analysis_has_its_reasons_too() -> None:
    assert why(evidence("rating:[1 TO 2]", record(analysed=False, rating=1.0))).endswith(": rated 1 of 5")


# --- the evidence ---------------------------------------------------------------------------------


def test_evidence_holds_what_a_reader_needs_and_is_json() -> None:
    data = evidence("broken sentiment:negative", record(url="https://example.invalid/1", rating=2.0)).data
    assert json.loads(json.dumps(data)) == data
    assert data["text"] == TEXT
    assert data["author"] == {"handle": "ana", "name": "Ana", "followers": 2_400_000, "verified": True}
    assert (data["channel"], data["brand"], data["rating"], data["overall"]) == ("x", "Acme", 2.0, "negative")
    assert data["url"] == "https://example.invalid/1"
    assert data["published_at"] == "2026-03-01T12:00:00.000Z"
    assert [(one["step"], one["sentiment"]) for one in data["segments"]] == [
        ("store", "positive"), ("reception", "negative")
    ]  # fmt: skip
    assert all(TEXT[one["start"] : one["end"]] == one["text"] for one in data["segments"])
    assert [TEXT[start:end] for _, start, end in data["highlights"]] == ["broken"]


def test_the_clause_that_made_it_match_is_kept_of_a_very_long_text() -> None:
    text = " ".join(f"clause{number:03}." for number in range(400))
    found = record(text)
    assert found.analysis is not None
    segments = tuple(
        segment(text, f"clause{number:03}.", "store", "negative" if number == 333 else "neutral")
        for number in range(400)
    )
    found = replace(found, analysis=replace(found.analysis, segments=segments))
    kept = evidence("segments:(sentiment:negative)", found)
    assert len(kept.data["text"]) == MAX_TEXT
    assert kept.data["cut"]
    assert len(kept.data["segments"]) == 40
    assert "clause333" in why(kept)


# --- the message ----------------------------------------------------------------------------------


def alert(count: int, data: Mapping[str, Any] | None = None) -> Alert:
    told = data or evidence("broken", name="breakage").data
    items = tuple(Evidence(f"{number:032x}", 1, NOON, told) for number in range(count))
    return Alert("f" * 32, "s", "", NOON, NOON, items, ("console",))


def test_one_mention_is_titled_by_its_author_and_many_by_their_number() -> None:
    assert render(alert(1)).title == "breakage: @ana on x"
    assert render(alert(57)).title == "breakage: 57 mentions"


def test_a_text_shows_twenty_mentions_and_says_how_many_more() -> None:
    text = render(alert(57)).text
    assert text.count("why: ") == 20
    assert text.endswith("... and 37 more")
    assert "more" not in render(alert(20)).text


def test_the_json_lists_every_mention_and_the_alerts_id() -> None:
    message = render(alert(MAX_EVIDENCE))
    told = json.loads(json.dumps(message.json))
    assert told["id"] == message.alert == "f" * 32
    assert [one["id"] for one in told["mentions"]] == [f"{number:032x}" for number in range(MAX_EVIDENCE)]
    assert told["count"] == MAX_EVIDENCE
    assert told["mentions"][0]["why"] == 'breakage: says "broken"'
    assert len(json.dumps(told)) < 1_000_000


def test_a_title_is_one_short_line_whatever_the_author_is_called() -> None:
    data = {"name": "late", "channel": "x", "author": {"name": "A\nBcc: someone@example.invalid\r\n" + "z" * 500}}
    title = render(alert(1, data)).title
    assert "\n" not in title
    assert "\r" not in title
    assert len(title) <= 120


def test_braces_in_a_text_are_words_like_others() -> None:
    data = {"name": "{0} {name}", "query": "{x}", "text": "{oops}", "author": {"handle": "{y}"}, "channel": "x",
            "reasons": [{"words": ["{z}"]}]}  # fmt: skip
    assert "{oops}" in render(alert(1, data)).text
    assert '"{z}"' in render(alert(1, data)).text


def test_an_alert_without_evidence_can_still_be_shown() -> None:
    assert "erased" in render(alert(0)).text


# --- ready-made subscriptions ---------------------------------------------------------------------


def matches(query: str, one: Record, *, certain: bool = True) -> bool:
    return evaluate(parse(query, now=NOON), Document(one), certain=certain)


@pytest.mark.parametrize(
    ("fields", "overall", "expected"),
    [
        ({"rating": 1.0}, "positive", True),
        ({"rating": 2.0}, "neutral", True),
        ({"rating": 3.0}, "neutral", False),
        ({"rating": None}, "negative", True),
        ({"rating": None}, "positive", False),
        ({"rating": 1.0, "own": True}, "negative", False),
        ({"rating": 1.0, "kind": "post"}, "negative", False),
    ],
)
def test_negative_review_finds_bad_stars_and_bad_words_of_others(
    fields: dict[str, Any], overall: str, expected: bool
) -> None:
    one = record(overall=overall, **{"kind": "review", **fields})
    assert matches(preset("negative-review").query, one) is expected


@pytest.mark.parametrize(
    ("channel", "followers", "expected"),
    [
        ("x", 10_000, True), ("x", 9_999, False), ("instagram", 10_000, True), ("bluesky", 2_000, True),
        ("bluesky", 1_999, False), ("mastodon", 2_500, True), ("trustpilot", 5_000, True),
        ("trustpilot", 4_999, False), ("x", None, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("overall", ["negative", "positive"])
def test_influencer_mention_follows_the_threshold_of_the_channel_whatever_the_sentiment(
    channel: str, followers: int | None, expected: bool, overall: str
) -> None:
    one = record(overall=overall, channel=channel, author=Author(handle="ana", followers=followers))
    assert matches(preset("influencer-mention").query, one) is expected


def test_an_own_account_with_many_followers_is_no_influencer() -> None:
    assert not matches(preset("influencer-mention").query, record(own=True))


def test_thresholds_of_ones_own_replace_the_table() -> None:
    query = influencer_query({"x": 100, "odd channel": 7})
    assert matches(query, record(author=Author(handle="a", followers=100)))
    assert matches(query, record(channel="odd channel", author=Author(handle="a", followers=7)))
    assert not matches(query, record(channel="forum", author=Author(handle="a", followers=10**9)))


def test_a_preset_can_be_of_one_brand() -> None:
    for one in presets():
        built = one.subscription(NOON, brand='Ac"me \\ Co', destinations=("team",))
        found = record(brand='Ac"me \\ Co', kind="review", rating=1.0)
        assert (built.id, built.name, built.destinations) == (one.key, one.name, ("team",))
        assert matches(built.query, found)
        assert not matches(built.query, replace(found, mention=replace(found.mention, brand="Rival")))
        assert built.cooldown > timedelta(0)


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as failure:
        preset("silence")
    assert failure.value.problems[0].allowed == ("negative-review", "influencer-mention")

"""`listener search`, `show` and `journey`: every form of output, pages, and rows that no spreadsheet runs."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.command_line import Cli

NOW = datetime.now(UTC)


def rows(number: int) -> list[dict[str, Any]]:
    return [
        {
            "native_id": str(n), "text": f"The parcel was late, number {n}. Support was friendly.", "rating": 1 + n % 5,
            "kind": "review", "published_at": (NOW - timedelta(hours=n)).isoformat(), "channel": "x",
        }
        for n in range(number)
    ]  # fmt: skip


@pytest.fixture
def filled(cli: Cli) -> Cli:
    cli.done("import", cli.file("a.jsonl", *rows(45)))
    return cli


def test_the_json_of_a_page_has_the_shape_of_the_contract(filled: Cli) -> None:
    page = filled.done("search", "parcel", "--size", "2", "--json").json
    assert list(page) == ["total", "mentions", "next"]
    assert page["total"] == 45
    first = page["mentions"][0]
    assert {"id", "native_id", "text", "published_at", "segments", "sentiment", "model"} <= set(first)
    assert first["native_id"] == "0"
    assert [segment["step"] for segment in first["segments"]] == ["reception", "support"]
    assert first["text"][slice(*first["highlights"][0][1:])] == "parcel"


@pytest.mark.parametrize("sort", ["-date", "date", "-rating", "relevance"])
def test_pages_by_token_give_every_mention_once_as_does_all(filled: Cli, sort: str) -> None:
    seen: list[str] = []
    page: list[str] = []
    while True:
        found = filled.done("search", "late", "--sort", sort, "--size", "7", *page, "--json").json
        seen += [mention["id"] for mention in found["mentions"]]
        if found["next"] is None:
            break
        page = ["--page", found["next"]]
    assert len(seen) == len(set(seen)) == 45
    everything = filled.done("search", "late", "--sort", sort, "--all", "--json").json
    assert [mention["id"] for mention in everything["mentions"]] == seen
    assert (everything["total"], everything["next"]) == (45, None)


def test_all_goes_beyond_one_page_of_the_engine_and_says_where_relevance_ends(cli: Cli) -> None:
    cli.done("import", cli.file("a.jsonl", *rows(1100)), "--no-analysis")
    for sort in ("date", "-date"):
        lines = cli.done("search", "*", "--all", "--sort", sort, "--format", "jsonl").lines
        order = range(1100) if sort == "-date" else reversed(range(1100))
        assert [row["native_id"] for row in lines] == [str(n) for n in order]
    best = cli.done("search", "parcel", "--all", "--sort", "relevance", "--format", "jsonl")
    assert len(best.lines) == 1000
    assert "the first 1,000 of 1,100" in best.err


def test_jsonl_has_one_mention_or_one_segment_a_line(filled: Cli) -> None:
    mentions = filled.done("search", "*", "--all", "--format", "jsonl").lines
    assert len(mentions) == 45
    assert "segments" in mentions[0]
    segments = filled.done("search", "*", "--all", "--format", "jsonl", "--per", "segment").lines
    assert len(segments) == 90
    assert [row["segment"]["step"] for row in segments[:2]] == ["reception", "support"]
    assert len(filled.done("search", "*", "--size", "3", "--format", "jsonl").lines) == 3


def test_csv_has_a_head_and_a_row_per_mention_or_per_segment(filled: Cli) -> None:
    table = list(csv.DictReader(io.StringIO(filled.done("search", "*", "--all", "--format", "csv").out)))
    assert len(table) == 45
    assert table[0]["text"] == "The parcel was late, number 0. Support was friendly."
    assert (table[0]["steps"], table[0]["rating"]) == ("reception support", "1.0")
    told = filled.done("search", "*", "--all", "--format", "csv", "--per", "segment").out
    table = list(csv.DictReader(io.StringIO(told)))
    assert len(table) == 90
    row = table[1]
    assert (row["step"], row["sentiment"], row["text"]) == ("support", "positive", "Support was friendly.")
    assert float(row["positive"]) > 0.5


def test_no_csv_cell_of_a_stranger_is_a_formula(cli: Cli) -> None:
    texts = ["=HYPERLINK(1)", "+1 late", "-1 late", "@SUM(A1)", "fine", 'two\nlines, "quoted" late']
    given = [
        {"native_id": f"={n}", "text": text, "author": {"handle": "+boss"}, "title": "@x", "url": "=1"}
        for n, text in enumerate(texts)
    ]
    cli.done("import", cli.file("a.jsonl", *given))
    for per in ("mention", "segment"):
        told = cli.done("search", "*", "--all", "--format", "csv", "--per", per).out
        table = list(csv.reader(io.StringIO(told)))
        assert len(table) >= len(texts)
        starts = {cell[0] for row in table for cell in row if cell}
        assert not starts & set("=+-@\t\r")
    mentions = csv.DictReader(io.StringIO(cli.done("search", "*", "--all", "--format", "csv").out))
    assert {row["text"] for row in mentions} == {"'=HYPERLINK(1)", "'+1 late", "'-1 late", "'@SUM(A1)", *texts[4:]}


def test_a_query_may_begin_with_a_minus_and_stars_find_everything(filled: Cli) -> None:
    assert filled.done("search", "-rating:[2 TO 5]", "--json").json["total"] == 9
    assert filled.done("search", "-parcel", "--json").json["total"] == 0
    assert filled.done("search", "*", "--sort", "-rating", "--json").json["mentions"][0]["rating"] == 5


def test_meaning_finds_neighbours_of_the_words_and_needs_some(filled: Cli) -> None:
    filled.done("import", filled.file("b.jsonl", {"native_id": "q", "text": "quokka quokka quokka"}))
    found = filled.done("search", "quokka marsupial", "--mode", "meaning", "--size", "1", "--json").json
    assert found["mentions"][0]["native_id"] == "q"
    assert filled.done("search", "quokka", "--mode", "hybrid", "--json").json["mentions"][0]["native_id"] == "q"
    refused = filled("search", "rating:1", "--mode", "meaning")
    assert refused.code == 2
    assert "needs words" in refused.err


def test_a_wrong_query_is_shown_with_a_caret_under_the_fault(filled: Cli) -> None:
    result = filled("search", "colis AND foo:bar")
    assert result.code == 2
    assert result.err.splitlines()[:2] == ["  colis AND foo:bar", "            ^"]
    assert result.out == ""
    wide = filled("search", "配送 foo:bar")
    assert wide.err.splitlines()[1] == "       ^"  # under the f, as wide letters take two columns


@pytest.mark.parametrize(
    "arguments",
    [
        ("*", "--page", "nonsense"), ("*", "--size", "0"), ("*", "--size", "1001"), ("*", "--sort", "sideways"),
        ("*", "--per", "segment"), ("*", "--json", "--format", "csv"), ("*", "--all", "--page", "x"), (),
    ],
)  # fmt: skip
def test_wrong_usage_of_search_has_exit_code_2(filled: Cli, arguments: tuple[str, ...]) -> None:
    result = filled("search", *arguments)
    assert result.code == 2
    assert result.out == ""


def test_people_see_the_text_its_clauses_and_the_next_page(filled: Cli) -> None:
    told = filled.done("search", "parcel", "--size", "1").out
    assert "45 found" in told
    assert "The parcel was late, number 0. Support was friendly." in told
    assert "reception  negative  The parcel was late, number 0." in told
    assert "next page: --page " in told
    assert "\x1b" not in told  # no terminal, no colours


def test_a_hostile_text_cannot_steer_the_terminal(cli: Cli) -> None:
    text = "late \x1b[2J\u202e\x9b31m parcel\nsecond line"
    hostile = {"native_id": "\x1b]0;x\x07", "text": text, "author": {"handle": "\x1b[1m"}}
    cli.done("import", cli.file("a.jsonl", hostile))
    mention = cli.done("search", "*", "--json").json["mentions"][0]
    for told in (cli.done("search", "*").out, cli.done("show", mention["id"]).out):
        assert not set("\x1b\x9b\x07\u202e") & set(told)


def test_show_tells_versions_and_alerts_of_a_mention(cli: Cli) -> None:
    cli.done("subscriptions", "add", "late", "late")
    at = NOW - timedelta(hours=2)
    first = {"native_id": "1", "text": "fine", "published_at": at.isoformat()}
    second = {**first, "text": "late", "updated_at": (at + timedelta(hours=1)).isoformat()}
    cli.done("import", cli.file("a.jsonl", first), cli.file("b.jsonl", second), "--source", "s")
    (mention,) = cli.done("search", "*", "--json").json["mentions"]
    told = cli.done("show", mention["id"], "--json").json
    assert told["text"] == "late"
    assert [version["text"] for version in told["versions"]] == ["fine"]
    assert [alert["subscription"] for alert in told["alerts"]] == ["late"]
    assert told["case"] is None
    assert "earlier version" in cli.done("show", mention["id"]).out
    assert cli("show", "0" * 32).code == 1


def test_journey_counts_clauses_per_step_and_opens_on_our_brand(cli: Cli) -> None:
    given = [{"native_id": str(n), "text": "parcel late", "brand": "Acme" if n < 12 else "Other"} for n in range(20)]
    cli.done("import", cli.file("a.jsonl", *given))

    def reception(*query: str) -> Any:
        told = cli.done("journey", *query, "--json").json
        return {step["step"]: step for step in told["steps"]}["reception"]

    assert (reception()["clauses"], reception()["net"]) == (20, -1)
    cli.config.write_text('brand = "Acme"\n' + cli.config.read_text())
    assert reception()["clauses"] == 12
    assert reception("*")["clauses"] == 20
    assert reception()["low"] >= -1
    assert 'brand:"Acme"' in cli.done("journey").out

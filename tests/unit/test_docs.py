"""The docs are true: names are complete, links lead somewhere, commands parse, code runs, queries find what is said."""

import contextlib
import io
import json
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from connectors import registry
from index import names
from index.ast import HAS_FLAGS, IS_FLAGS
from index.contract import Batch, Search
from index.embedded.engine import EmbeddedEngine
from listener.cli import COMMANDS
from listener.cli_parser import build, dashed
from listener.errors import QueryError
from listener.model import (
    EMOTIONS,
    INTENTS,
    Analysis,
    Author,
    Mention,
    Page,
    Record,
    Segment,
    Sentiment,
    mention_id,
    parse_time,
    to_ms,
)
from listener.notifiers import NOTIFIERS
from listener.settings import Settings, loads
from tools import docs_tables

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
OURS = [page for page in PAGES if page.name not in ("cli.md", "settings.md")]  # those that people wrote
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@cache
def text(page: Path) -> str:
    return page.read_text("utf8")


def doc(name: str) -> str:
    return text(ROOT / "docs" / name)


def blocks(*kinds: str) -> list[Any]:
    """The fenced blocks of these kinds, each as (page, content)."""
    found = [(page, kind, block) for page in PAGES for kind, block in FENCE.findall(text(page)) if kind in kinds]
    return [pytest.param(page, block, id=f"{page.name}-{number}") for number, (page, _, block) in enumerate(found)]


def name(page: Path) -> str:
    return page.name


# --- links ----------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", FENCE.sub("", text(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text(page))):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        to = (page.parent / file).resolve() if file else page
        if not to.exists() or (anchor and to.suffix == ".md" and anchor not in anchors(to)):
            dead.append(target)
    assert not dead


def test_the_map_of_the_docs_names_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)", doc("index.md")))
    assert linked >= {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=name)
def test_tables_made_from_code_are_up_to_date(page: Path) -> None:
    assert text(page) == docs_tables.filled(text(page)), "run: make docs"


def test_every_field_flag_value_and_limit_has_its_table() -> None:
    page = doc("query-language.md")
    for table in ("fields", "values", "limits"):
        assert f"<!-- table: {table} -->" in page
    for flag in [*(f"is:{flag}" for flag in IS_FLAGS), *(f"has:{flag}" for flag in HAS_FLAGS)]:
        assert f"\n| `{flag}` | " in page.partition("## States and parts")[2].partition("\n## ")[0], flag
    for word in ("AND", "OR", "NOT", "&&", r"\|\|", "!", "+", "-", "~", "^", "TO", "now"):
        assert word in page


@pytest.mark.parametrize("field", names.FIELDS)
def test_every_field_has_a_query_that_shows_it(field: str) -> None:
    if field in (
        "kind",
        "source",
        "audience",
        "place",
        "model",
        "stars",
        "received",
        "case",
        "owner",
        "emotion",
        "intent",
    ):
        assert f"`{field}`" in doc("query-language.md")
    else:
        shown = {match for query, _ in queries() for match in re.findall(r"(\w+):", query)}
        assert field in {names.field_of(word) for word in shown}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_reference_and_in_a_page_by_a_person(command: str) -> None:
    assert f"\n## listener {command}\n" in doc("cli.md")
    assert any(re.search(rf"listener {command}\b", text(page)) for page in OURS)


@pytest.mark.parametrize("connector", registry.BUILT_IN)
def test_every_connector_is_described(connector: str) -> None:
    assert f"\n## {connector}\n" in doc("connectors.md")
    assert f'\n### connector = "{connector}"\n' in doc("settings.md")


@pytest.mark.parametrize("notifier", NOTIFIERS)
def test_every_notifier_is_described(notifier: str) -> None:
    assert f"\n### {notifier}\n" in doc("alerts.md")
    assert f'\n### type = "{notifier}"\n' in doc("settings.md")


@pytest.mark.parametrize("section", Settings.model_fields)
def test_every_settings_section_is_documented(section: str) -> None:
    assert f"\n## [{section}]\n" in doc("settings.md") or f"| `{section}` |" in doc("settings.md")


def test_metrics_and_errors_have_their_tables() -> None:
    assert "<!-- table: metrics -->" in doc("operations.md")
    assert "<!-- table: errors -->" in doc("architecture.md")


def test_no_page_names_a_place_of_the_machine_it_was_written_on() -> None:
    for page in PAGES:
        assert not re.search(r"/(work|root|home|tmp)/", text(page)), page.name


# --- commands -------------------------------------------------------------------------------------


def shell_lines() -> list[Any]:
    """Every command in a shell block, with its continuation lines."""
    found = []
    for page in PAGES:
        for kind, block in FENCE.findall(text(page)):
            if kind == "sh":
                lines = block.replace("\\\n", " ").splitlines()
                found += [(page, line.strip()) for line in lines if line.strip() and not line.startswith("#")]
    return [pytest.param(page, line, id=f"{page.name}: {line[:60]}") for page, line in found]


def programs(line: str) -> Iterator[list[str]]:
    """The words of each program of a line, without redirections."""
    words: list[str] = []
    for word in [*shlex.split(line), "|"]:
        if word in ("|", "&&"):
            yield words
            words = []
        else:
            words.append(word)


@pytest.mark.parametrize(("page", "line"), shell_lines())
def test_every_shell_command_exists_with_its_options(page: Path, line: str) -> None:
    for words in programs(line):
        arguments = words[1 : words.index(">") if ">" in words else None]
        match Path(words[0]).name:
            case "listener":
                told = io.StringIO()
                try:
                    with contextlib.redirect_stderr(told):
                        build().parse_args(dashed(arguments))
                except SystemExit:
                    pytest.fail(told.getvalue())
            case "make":
                targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text("utf8"), re.MULTILINE)
                assert {word for word in arguments if "=" not in word} <= set(targets)
            case "python":
                assert arguments[0] == "-m"
                assert find_spec(arguments[1]) is not None


@pytest.mark.parametrize("page", OURS, ids=name)
def test_every_command_named_in_a_sentence_exists(page: Path) -> None:
    for named in re.findall(r"`listener ([^`]+)`", FENCE.sub("", text(page))):
        parser, words = build(), named.split()
        while words and (actions := next((a for a in parser._actions if a.dest in ("command", "action")), None)):
            choices: Any = actions.choices
            if words[0] not in choices:
                assert actions.dest == "action", f"listener {named}"
                break
            parser, words = choices[words[0]], words[1:]
        known = {option for action in parser._actions for option in action.option_strings}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known, f"listener {named}"


# --- code -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "code"), blocks("python test"))
def test_code_marked_as_a_test_runs(
    page: Path, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, page.name, "exec"), {"__name__": "docs"})


def test_some_code_is_marked_as_a_test() -> None:
    assert len(blocks("python test")) >= 2


@pytest.mark.parametrize(("page", "code"), blocks("toml"))
def test_settings_in_the_docs_are_valid(page: Path, code: str) -> None:
    assert loads(code, ROOT)


def test_quoted_files_are_quoted_as_they_are() -> None:
    quoted = re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)^```$", doc("connectors.md"), re.MULTILINE | re.DOTALL)
    assert quoted
    for file, code in quoted:
        assert code.strip() in (ROOT / file).read_text("utf8")


def test_the_headings_of_the_demo_are_those_it_prints() -> None:
    printed = (ROOT / "listener/demo.py").read_text("utf8")
    (shown,) = [block for kind, block in FENCE.findall(text(ROOT / "README.md")) if "Worst steps of" in block]
    heads = re.findall(r"^(.+)\n-{4,}$", shown, re.MULTILINE)
    assert len(heads) >= 4
    for head in heads:
        assert head.partition(" of ")[0] in printed


# --- queries --------------------------------------------------------------------------------------


def table_rows(head: str) -> Iterator[tuple[str, str]]:
    """First and second cell of every row of the tables of queries with this head."""
    for table in re.findall(
        rf"^\| query \| {head} \|.*\n\|[-|]+\n((?:\|.*\n)+)", doc("query-language.md"), re.MULTILINE
    ):
        for line in table.splitlines():
            cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            yield cells[0].strip("`"), cells[1]


def queries() -> list[tuple[str, str]]:
    return list(table_rows("finds"))


def record(row: dict[str, Any]) -> Record:
    """A line of the page's corpus as a record."""
    clauses, overall = row.pop("clauses", []), row.pop("overall", None)
    at = parse_time(row.pop("published_at"))
    row["author"] = Author(**row["author"])
    mention = Mention(
        mention_id("docs", row["native_id"]), source="docs", published_at=at, received_at=at, version=to_ms(at), **row
    )
    if not clauses:
        return Record(mention)
    segments = tuple(segment(mention.text, *clause) for clause in clauses)
    none = dict.fromkeys(EMOTIONS, 0.0), dict.fromkeys(INTENTS, 0.0)
    language = mention.language or "und"
    return Record(mention, Analysis("docs@1", language, sentiment(overall), *none, None, segments, False))


def sentiment(label: str) -> Sentiment:
    return Sentiment(label, {name: float(name == label) for name in ("negative", "neutral", "positive")})


def segment(whole: str, words: str, step: str, label: str, marks: str) -> Segment:
    start = whole.index(words)
    has = set(marks.split())
    effort = next((int(mark.partition(":")[2]) for mark in has if mark.startswith("effort:")), None)
    assert has <= {*EMOTIONS, *INTENTS, "uncertain", f"effort:{effort}"}
    return Segment(
        start, start + len(words), step, 1.0, sentiment(label), {name: float(name in has) for name in EMOTIONS},
        {name: float(name in has) for name in INTENTS}, effort, "uncertain" in has,
    )  # fmt: skip


def corpus() -> tuple[Record, ...]:
    ((_, lines),) = [match for match in FENCE.findall(doc("query-language.md")) if match[0] == "jsonl corpus"]
    return tuple(record(json.loads(line)) for line in lines.splitlines())


async def test_every_query_of_the_page_finds_what_the_page_says(tmp_path: Path) -> None:
    engine = EmbeddedEngine(tmp_path / "store.db")
    await engine.open()
    try:
        await engine.save(Batch("docs", Page(), corpus(), NOW, "off"))
        wrong = []
        for query, said in queries():
            hits = await engine.search(Search(query, sort="date"), NOW)
            found = " ".join(hit.record.mention.native_id for hit in hits.hits)
            if found != said:
                wrong.append(f"{query} finds {found}, the page says {said}")
        assert not wrong
    finally:
        await engine.close()
    assert len(queries()) >= 60


async def test_every_mistake_of_the_page_is_told_as_the_page_says(tmp_path: Path) -> None:
    engine = EmbeddedEngine(tmp_path / "store.db")
    await engine.open()
    try:
        for query, said in table_rows("error says"):
            with pytest.raises(QueryError, match=re.escape(said)) as caught:
                await engine.search(Search(query), NOW)
            assert caught.value.column is not None, query
    finally:
        await engine.close()
    assert len(list(table_rows("error says"))) > 8

"""`listener erase`, `expire`, `reindex`, `backup`, `doctor`: the whole store."""

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from index.contract import Delivery, SourceState
from index.embedded.engine import EmbeddedEngine
from listener.model import Gap
from tests.command_line import Cli

NOW = datetime.now(UTC)


def row(name: str, days: float, **more: Any) -> dict[str, Any]:
    return {"native_id": name, "text": f"late {name}", "published_at": (NOW - timedelta(days=days)).isoformat(), **more}


def texts(cli: Cli) -> set[str]:
    return {mention["text"] for mention in cli.done("search", "*", "--all", "--json").json["mentions"]}


def test_erase_removes_the_author_and_asks_before(cli: Cli) -> None:
    ana, bob = {"author": {"handle": "ana_zzz"}}, {"author": {"handle": "bob"}}
    cli.done("import", cli.file("a.jsonl", row("1", 1, **ana), row("2", 1, **ana), row("3", 1, **bob)))
    refused = cli("erase", "ana_zzz")  # no terminal: nobody can be asked
    assert refused.code == 2
    assert len(texts(cli)) == 3
    assert cli.done("erase", "@ana_zzz", "--yes", "--json").json == {"erased": 2}
    assert texts(cli) == {"late 3"}
    assert b"ana_zzz" not in (cli.folder / "listener.db").read_bytes()


def test_erase_finds_an_author_kept_under_a_pseudonym(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PSEUDONYMS", "a key of more than sixteen letters")
    cli.settings('[privacy]\npseudonymise = "env:PSEUDONYMS"\n')
    cli.done("import", cli.file("a.jsonl", row("1", 1, author={"handle": "ana"})))
    assert cli.done("erase", "ana", "--yes", "--json").json == {"erased": 1}


def test_expire_removes_what_is_older_than_a_date_or_the_terms_of_its_source(cli: Cli) -> None:
    source = '[sources.short]\nconnector = "file"\npath = "x"\nenabled = false\n'
    cli.settings(source + '[sources.short.terms]\nmax_retention = "30d"\n')
    old, new = cli.file("a.jsonl", row("old", 40), row("new", 1), "broken"), cli.file("b.jsonl", row("other", 50))
    cli.done("import", old, "--source", "short")
    cli.done("import", new)
    assert cli("expire").code == 2
    assert cli.done("expire", "--yes", "--json").json == {"expired": 1}
    assert texts(cli) == {"late new", "late other"}
    assert cli.done("expire", "--before", "now-10d", "--yes", "--json").json == {"expired": 1}
    assert texts(cli) == {"late new"}
    assert cli("expire", "--before", "soon", "--yes").code == 2


def test_backup_is_a_whole_store_and_overwrites_nothing(cli: Cli) -> None:
    cli.done("import", cli.file("a.jsonl", row("1", 1)))
    copy = cli.folder / "copy.db"
    cli.done("backup", str(copy))
    assert sqlite3.connect(copy).execute("SELECT count(*) FROM mention").fetchone() == (1,)
    assert cli("backup", str(copy)).code == 2


def test_reindex_counts_and_search_finds_the_same(cli: Cli) -> None:
    cli.done("import", cli.file("a.jsonl", row("1", 1), row("2", 1)))
    assert cli.done("reindex", "--json").json == {"reindexed": 2}
    assert cli.done("search", "late", "--json").json["total"] == 2


def test_doctor_is_content_with_a_sound_store_and_notes_dead_letters(cli: Cli) -> None:
    cli.done("import", cli.file("a.jsonl", row("1", 1), "broken"))
    told = cli.done("doctor", "--json").json
    assert told["healthy"]
    levels = {finding["what"]: finding["level"] for finding in told["findings"]}
    assert (levels["settings"], levels["classifier"], levels["dead letters"]) == ("ok", "ok", "note")


def test_doctor_names_missing_secrets_quarantined_sources_and_open_gaps(cli: Cli) -> None:
    cli.settings('[destinations.team]\ntype = "apprise"\nurl = "env:NOBODY_SET_THIS"\n')

    async def prepare() -> None:
        engine = EmbeddedEngine(cli.folder / "listener.db")
        await engine.open()
        await engine.put_source_state(SourceState("press", "quarantined", "401"))
        await engine.add_gap(Gap("press", NOW, None, "outage"))
        await engine.delivered(Delivery("an alert", "team", NOW, False, "refused"), None)
        await engine.close()

    asyncio.run(prepare())
    result = cli("doctor", "--json")
    assert result.code == 1
    wrong = [finding for finding in result.json["findings"] if finding["level"] == "wrong"]
    told = " ".join(f"{finding['what']} {finding['detail']}" for finding in wrong)
    assert "NOBODY_SET_THIS" in told
    assert "waits for a person" in told
    assert "misses mentions since" in told
    assert "refused" in told


def test_doctor_tells_wrong_settings_without_a_traceback(cli: Cli) -> None:
    cli.settings("[indx]\n")
    result = cli("doctor", "--json")
    assert result.code == 1
    assert not result.json["healthy"]

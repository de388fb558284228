"""`listener import` and `reanalyze`: nothing stored twice, resumable after a kill, files kept apart."""

import io
import json
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.command_line import Cli

AGO = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
OLD = (datetime.now(UTC) - timedelta(days=5)).isoformat()


def total(cli: Cli, query: str = "*") -> int:
    found: int = cli.done("search", query, "--size", "1", "--json").json["total"]
    return found


def counts(cli: Cli, *arguments: str) -> list[tuple[int, int, int, int]]:
    files = cli.done("import", *arguments, "--json").json["files"]
    return [(file["new"], file["updated"], file["known"], file["rejected"]) for file in files]


def stored(cli: Cli) -> int:
    """Mentions in the store, seen from beside while another process writes."""
    path = cli.folder / "listener.db"
    if not path.exists():
        return 0
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT count(*) FROM mention").fetchone()[0])
    except sqlite3.OperationalError:  # not made yet
        return 0
    finally:
        connection.close()


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def test_a_file_imported_twice_is_stored_once_and_a_grown_one_goes_on(cli: Cli) -> None:
    path = cli.file("a.jsonl", {"native_id": "1", "text": "late"}, {"native_id": "2", "text": "great"})
    first = cli.done("import", path)
    assert first.err == ""  # no terminal, no progress
    assert "2 new" in first.out
    assert counts(cli, path) == [(0, 0, 0, 0)]
    with Path(path).open("a") as stream:
        stream.write('{"native_id": "3", "text": "bad"}\n')
    assert counts(cli, path) == [(1, 0, 0, 0)]
    assert total(cli) == 3


def test_equal_ids_in_two_files_are_one_mention_only_with_a_common_source(cli: Cli) -> None:
    row = {"native_id": "1", "text": "late", "published_at": AGO}
    one, two = cli.file("x/same.jsonl", row), cli.file("y/same.jsonl", row)
    assert counts(cli, one, two) == [(1, 0, 0, 0), (1, 0, 0, 0)]
    assert counts(cli, one, two, "--source", "shop") == [(1, 0, 0, 0), (0, 0, 1, 0)]
    assert total(cli, "source:shop") == 1
    assert total(cli) == 3


def test_killed_in_the_middle_and_run_again_it_goes_on_and_stores_each_once(cli: Cli) -> None:
    rows = [{"native_id": str(number), "text": f"parcel {number} late"} for number in range(20_000)]
    path = cli.file("big.jsonl", *rows)
    seen = [0]
    for _ in range(2):
        process = cli.process("import", path, "--no-analysis")
        try:
            until(lambda: stored(cli) > seen[-1])
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert process.returncode == -signal.SIGKILL, "it must not have ended by itself"
        seen.append(stored(cli))
    assert 0 < seen[1] < seen[2] < 20_000
    ((new, updated, known, rejected),) = counts(cli, path, "--no-analysis")
    assert (updated, rejected) == (0, 0)
    assert new == 20_000 - seen[2]
    assert known <= 2000  # no more is read again than the pages that were in hand
    assert total(cli) == 20_000


def test_ctrl_c_ends_after_the_page_in_hand_with_130_and_the_next_run_goes_on(cli: Cli) -> None:
    path = cli.file("big.jsonl", *({"native_id": str(number), "text": "parcel late"} for number in range(20_000)))
    process = cli.process("import", path, "--json")
    until(lambda: stored(cli) > 0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "goes on from here" in err
    assert json.loads(out)["files"][0]["new"] == stored(cli) < 20_000


def test_rejected_rows_are_counted_with_reasons_kept_and_can_be_replayed(cli: Cli) -> None:
    poem = {"native_id": "2", "text": "x", "kind": "poem"}
    path = cli.file("a.jsonl", {"native_id": "1", "text": "late"}, "not json", poem)
    told = cli.done("import", path).out
    assert "1 new, 0 updated, 0 known, 2 rejected" in told
    assert "a.jsonl:2" in told
    assert "listener sources dead-letters" in told
    letters = cli.done("sources", "dead-letters", "--json").json["dead_letters"]
    assert [(letter["where"], letter["raw"]) for letter in letters] == [
        ("a.jsonl:2", "not json\n"), ("a.jsonl:3", json.dumps(poem) + "\n"),
    ]  # fmt: skip
    raw = cli.done("sources", "dead-letters", "--raw", str(letters[0]["id"]))
    assert raw.out == "not json\n"
    assert cli("sources", "replay").code == 1


def test_a_dead_letter_is_replayed_with_the_settings_of_today(cli: Cli) -> None:
    source = f'\n[sources.shop]\nconnector = "file"\nenabled = false\npath = "{cli.folder}/a.csv"\n'
    cli.settings(source + "[sources.shop.scales.rating]\nmin = 1\nmax = 5\n")
    path = cli.file("a.csv", "id,comment,stars", "1,late,5", "2,great,9")
    assert counts(cli, path, "--source", "shop") == [(1, 0, 0, 1)]
    cli.settings(source + "[sources.shop.scales.rating]\nmin = 0\nmax = 10\n")
    result = cli.done("sources", "replay", "--json").json
    assert result["replayed"] == 1
    assert cli.done("sources", "dead-letters", "--json").json["dead_letters"] == []
    (mention,) = cli.done("search", "is:unanalysed", "--json").json["mentions"]
    assert (mention["native_id"], mention["text"], mention["source"]) == ("2", "great", "shop")
    assert cli("sources", "replay", "99").code == 2


def test_old_rows_are_history_and_live_alerts_on_them(cli: Cli) -> None:
    cli.done("subscriptions", "add", "late", "late")
    old = cli.file("old.jsonl", {"native_id": "1", "text": "late", "published_at": OLD})
    told = cli.done("import", old, "--json").json
    assert (told["alerts"], told["history"]) == (0, 1)
    live = cli.file("live.jsonl", {"native_id": "1", "text": "late", "published_at": OLD})
    told = cli.done("import", live, "--live", "--json").json
    assert (told["alerts"], told["history"]) == (1, 0)


def test_a_dry_run_shows_the_columns_and_stores_nothing(cli: Cli) -> None:
    path = cli.file("a.csv", "review_id;Kommentar;Sterne", "1;zu spät;2")
    (file,) = cli.done("import", path, "--dry-run", "--json").json["files"]
    assert file["columns"] == {"review_id": "native_id", "Kommentar": "text", "Sterne": "rating"}
    assert file["mentions"][0]["text"] == "zu spät"
    assert "Sterne" in cli.done("import", path, "--dry-run").out
    assert not (cli.folder / "listener.db").exists()


def test_settings_of_the_named_source_apply_whatever_its_connector(cli: Cli) -> None:
    feed = '[sources.press]\nconnector = "feed"\nurl = "https://example.invalid/f"\nbrand = "Acme"\nchannel = "forum"\n'
    cli.settings(feed)
    cli.done("import", cli.file("a.jsonl", {"native_id": "1", "text": "late"}), "--source", "press")
    assert total(cli, "source:press brand:Acme channel:forum") == 1


def test_standard_input_is_known_again_by_its_bytes(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = b'{"native_id": "1", "text": "late"}\n'
    for given, new in ((rows, 1), (rows, 0), (rows + rows.replace(b"1", b"2"), 2)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        assert counts(cli, "-")[0][0] == new


def test_beside_a_running_service_the_service_analyses_the_rows(cli: Cli) -> None:
    service = cli.process("run")
    try:
        assert service.stdout is not None
        assert service.stdout.readline().startswith("running")
        path = cli.file("a.jsonl", *({"native_id": str(number), "text": "parcel late"} for number in range(300)))
        at_once = cli.done("import", cli.file("b.jsonl", {"native_id": "b", "text": "parcel late"}), "--no-wait")
        assert at_once.err == ""
        result = cli.done("import", path)
        assert "the running service analyses" in result.err
        assert "all of them are analysed" in result.err
        assert total(cli, "step:reception") == 301
        again = cli("run")
        assert again.code == 1
        assert "another service" in again.err
    finally:
        service.send_signal(signal.SIGTERM)
        service.communicate(timeout=30)
    assert service.returncode == 0


@pytest.mark.parametrize("arguments", [("no.jsonl",), (".",), ("-", "-"), ("--source", "", "x")])
def test_what_cannot_be_imported_is_wrong_usage(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli("import", *arguments).code == 2


# --- reanalyze ------------------------------------------------------------------------------------


def test_without_analysis_rows_are_found_as_unanalysed_until_reanalyzed(cli: Cli) -> None:
    path = cli.file("a.jsonl", *({"native_id": str(number), "text": "parcel late"} for number in range(600)))
    cli.done("import", path, "--no-analysis")
    assert total(cli, "is:unanalysed") == 600
    cli.done("import", path)  # what was asked to be left alone stays so
    assert total(cli, "is:unanalysed") == 600
    told = cli.done("reanalyze", "is:unanalysed", "--json").json
    assert told == {"analysed": 600, "failed": 0, "alerts": 0, "skipped": 0, "complete": True}
    assert total(cli, "segments:(step:reception AND sentiment:negative)") == 600


def test_reanalyze_ended_in_the_middle_goes_on_where_it_stopped(cli: Cli) -> None:
    path = cli.file("a.jsonl", *({"native_id": str(number), "text": "parcel late"} for number in range(3000)))
    cli.done("import", path, "--no-analysis")
    process = cli.process("reanalyze", "--json")

    def some() -> bool:
        connection = sqlite3.connect(cli.folder / "listener.db")
        try:
            return bool(connection.execute("SELECT 1 FROM meta WHERE key LIKE 'setting:reanalyze:%'").fetchone())
        finally:
            connection.close()

    until(some)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    left = total(cli, "is:unanalysed")
    assert 0 < left < 3000
    told = cli.done("reanalyze", "--json").json
    assert left <= told["analysed"] <= left + 256  # at most the page in hand again
    assert total(cli, "is:unanalysed") == 0
    assert cli.done("reanalyze", "--json").json["analysed"] == 3000  # done: the next one begins anew


def test_reanalyze_alerts_only_when_asked(cli: Cli) -> None:
    cli.done("subscriptions", "add", "broken", "segments:(step:reception AND sentiment:negative)")
    rows = [{"native_id": name, "text": "parcel late", "published_at": AGO} for name in ("a", "b")]
    cli.done("import", cli.file("a.jsonl", rows[0]), "--no-analysis")
    assert cli.done("reanalyze", "--json").json["alerts"] == 0
    cli.done("import", cli.file("b.jsonl", rows[1]), "--no-analysis")
    assert cli.done("reanalyze", "is:unanalysed", "--alerts", "--json").json["alerts"] == 1

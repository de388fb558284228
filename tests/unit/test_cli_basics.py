"""The command line as a whole: exit codes, settings, help, speed, the generated page."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from listener.cli import COMMANDS, _command
from listener.cli_docs import reference
from listener.cli_parser import build
from tests.command_line import Cli

ROOT = Path(__file__).parents[2]


def listener(*arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "listener.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload,no-any-return]


def test_the_page_of_the_command_line_is_up_to_date() -> None:
    assert (ROOT / "docs" / "cli.md").read_text("utf8") == reference(), "python -m listener.cli_docs > docs/cli.md"


def test_every_command_of_the_grammar_is_in_the_table_and_can_be_loaded() -> None:
    (choices,) = [action.choices for action in build()._actions if action.dest == "command"]
    assert choices is not None
    assert set(choices) == set(COMMANDS)
    for name in COMMANDS:
        assert callable(_command(name))
        assert f"\n## listener {name}\n" in reference()


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_that_ends_with_0(cli: Cli, name: str) -> None:
    assert name in cli.done(name, "--help").out


def test_version_loads_neither_model_nor_settings_and_starts_fast(tmp_path: Path) -> None:
    script = (
        "import sys; from listener.cli import main; code = main(['version', '--json']);"
        "heavy = {'pydantic', 'numpy', 'onnxruntime', 'aiohttp', 'spacy', 'luqum', 'tqdm', 'asyncio.events'};"
        "print(sorted(heavy & set(sys.modules) - {'asyncio.events'}), file=sys.stderr); sys.exit(code)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert found.stderr.strip() == "[]"
    assert set(json.loads(found.stdout)) == {"listener", "model", "schema", "python"}
    # Of the processor, not of the clock: the machine may be busy.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


@pytest.mark.parametrize("arguments", [(), ("dance",), ("search",), ("search", "*", "--sideways"), ("sources", "fly")])
def test_wrong_usage_has_exit_code_2_and_says_so_on_stderr(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "usage: listener" in result.err


def test_settings_are_found_by_option_then_variable_then_folder(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.done("import", cli.file("a.jsonl", {"native_id": "1", "text": "late"}))
    elsewhere = cli.folder / "elsewhere"
    elsewhere.mkdir()
    assert json.loads(listener("search", "*", "--json", cwd=cli.folder).stdout)["total"] == 1
    named = os.environ | {"LISTENER_CONFIG": str(cli.config)}
    assert json.loads(listener("search", "*", "--json", cwd=elsewhere, env=named).stdout)["total"] == 1
    after = listener("search", "*", "--json", "--config", str(cli.config), cwd=elsewhere)
    assert json.loads(after.stdout)["total"] == 1
    nowhere = listener("search", "*", cwd=elsewhere)
    assert nowhere.returncode == 2
    assert "listener init" in nowhere.stderr


def test_config_check_lists_every_error_at_once_with_lines(cli: Cli) -> None:
    cli.settings('[index]\nengine = "oracle"\nreaders = 0\n[alerts]\nmax_age = "soon"\n[nonsense]\n')
    result = cli("config", "check")
    assert result.code == 2
    for name in ("index.engine", "index.readers", "alerts.max_age", "nonsense"):
        assert name in result.err
    assert "line 8" in result.err
    told = cli("config", "check", "--json")
    assert told.code == 2
    assert len(told.json["problems"]) == 4
    assert not told.json["valid"]
    assert cli("search", "*").code == 2  # every command refuses them


def test_config_example_is_valid_and_config_show_hides_no_default(cli: Cli) -> None:
    cli.config.write_text(cli.done("config", "example").out, "utf8")
    assert "valid" in cli.done("config", "check").out
    shown = cli.done("config", "show", "--json").json
    assert shown["index"]["engine"] == "embedded"
    cli.config.write_text(cli.done("config", "show").out, "utf8")  # what it shows are settings again
    assert cli.done("config", "show", "--json").json == shown


def test_an_unexpected_failure_is_one_line_with_exit_code_1(cli: Cli) -> None:
    (cli.folder / "listener.db").write_bytes(b"this is no database, but it is long enough to be looked at" * 100)
    result = cli("search", "*")
    assert (result.code, result.out) == (1, "")
    assert len(result.err.splitlines()) == 1
    assert "Traceback" not in result.err


def test_a_reader_that_leaves_early_is_no_error(cli: Cli) -> None:
    rows = ({"native_id": str(number), "text": "late " * 20} for number in range(2000))
    cli.done("import", cli.file("a.jsonl", *rows), "--no-analysis")
    process = cli.process("search", "*", "--all", "--format", "jsonl")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(30) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_serve_prints_its_address_and_stops_gracefully(cli: Cli, number: signal.Signals, code: int) -> None:
    import urllib.request

    process = cli.process("serve")
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = line.split()[2].rstrip(",")
        with urllib.request.urlopen(f"{address}/readyz", timeout=10) as answer:
            assert answer.status == 200
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == code
    assert "Traceback" not in err

"""The settings: what is refused and how it is told, what is found where, and texts that are never out of date."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from connectors.base import SourceConfig
from listener.duration import format_duration, parse_duration
from listener.errors import ConfigError, Problem
from listener.notifiers import NotifierConfig
from listener.settings import Settings, find, load, loads, validate
from listener.settings_check import Warned, check
from listener.settings_fields import Key, keys_of
from listener.settings_plugins import built_in, plugin_keys
from listener.settings_problems import Lines
from listener.settings_text import example, initial, reference

ROOT = Path(__file__).parents[2]
HERE = Path("/somewhere")


def problems(text: str, folder: Path = HERE) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        loads(text, folder)
    return list(caught.value.problems)


# --- errors ---------------------------------------------------------------------------------------

MANY = """\
timezone = "Europe/Pari"
colour = 1

[index]
engine = "opensearch"   # not yet
readers = 0
[serve]
port = "foo"
[alerts]
max_age = "7x"
[brands]
Acme = [
  "[serve]",
  5,
]
"B c" = "x"
[sources.reviews]
connector = "file"
path = "a.csv"
evry = "5m"
[sources.talk]
connector = "nope"
[sources."Not a name"]
connector = "file"
path = "b.csv"
[sources.empty]
[destinations.team]
type = "fax"
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_problem_is_listed_at_once_with_its_path_and_line(end: str) -> None:
    found = [(problem.path, problem.line) for problem in problems(MANY.replace("\n", end))]
    assert found == [
        ("timezone", 1),
        ("colour", 2),
        ("index.engine", 5),
        ("index.readers", 6),
        ("serve.port", 8),
        ("alerts.max_age", 10),
        ("brands.Acme[1]", 12),
        ('brands."B c"', 16),
        ("sources.reviews.evry", 20),
        ("sources.talk.connector", 22),
        ('sources."Not a name"', 23),
        ("sources.empty.connector", 26),
        ("destinations.team.type", 28),
    ]


def test_a_problem_says_what_stands_there_and_what_may() -> None:
    found = {problem.path: problem for problem in problems(MANY)}
    assert found["timezone"].value == "Europe/Pari"
    assert found["index.engine"].allowed == ("embedded",)
    assert "later release" in found["index.engine"].message
    assert found["sources.talk.connector"].value == "nope"
    assert "file" in found["sources.talk.connector"].allowed
    assert "file" in found["sources.empty.connector"].allowed
    assert found["destinations.team.type"].allowed[:1] == ("console",)
    assert "did you mean every?" in found["sources.reviews.evry"].message
    assert "page_size" in found["sources.reviews.evry"].allowed


def test_a_journey_of_ones_own_is_refused_until_it_is_read() -> None:
    (problem,) = problems('journey = "own.toml"')
    assert (problem.path, problem.allowed) == ("journey", ("default",))
    assert "later release" in problem.message


def test_an_unknown_classifier_is_refused_with_the_known_ones() -> None:
    (problem,) = problems('[classifier]\nname = "listener-e6"')
    assert (problem.path, problem.line, problem.allowed) == (
        "classifier.name", 2, ("listener-e5", "rule", "none"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('timezone = "UTC"\nbrand = \n', 2, "column"),
        ("[index]\n[index]\n", 2, "column"),
        ("readers = " + "9" * 5000, None, "TOML"),
        ("a = " + "[" * 100_000, None, "nested too deeply"),
    ],
)
def test_a_fault_of_syntax_says_where_it_is(text: str, line: int | None, words: str) -> None:
    (problem,) = problems(text)
    assert problem.line == line
    assert words in problem.message


def test_a_file_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "listener.toml"
    path.write_bytes('timezone = "UTC"\nbrand = "Caf\xe9"\n'.encode("latin1"))
    with pytest.raises(ConfigError, match=r"line 2: listener\.toml: is not UTF-8"):
        load(path)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "listener.toml"
    path.write_bytes(b'\xef\xbb\xbfbrand = "Acme"\r\n')
    assert load(path).brand == "Acme"


@pytest.mark.parametrize("pause", ['"0s"', "-5", '"' + "9" * 400 + 'd"', "[]", "nan"])
def test_a_pause_that_is_no_length_of_time_is_refused_where_it_stands(pause: str) -> None:
    (problem,) = problems(f'[sources.a]\nconnector = "file"\npath = "a.csv"\nevery = {pause}\n')
    assert (problem.path, problem.line) == ("sources.a.every", 4)


@pytest.mark.parametrize("length", ["5", "-1", "true", '"-1h"', '"1 day"', '"' + "9" * 400 + 'd"'])
def test_a_bare_number_is_no_duration(length: str) -> None:
    (problem,) = problems(f"[alerts]\nmax_age = {length}\n")
    assert (problem.path, problem.line) == ("alerts.max_age", 2)


# --- secrets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('[privacy]\npseudonymise = "hunter2"', "privacy.pseudonymise"),
        ('[privacy]\npseudonymise = ["hunter2"]', "privacy.pseudonymise"),
        ('[destinations.a]\ntype = "apprise"\nurl = "mailto://me:hunter2@host"', "destinations.a.url"),
        ('[destinations.a]\ntype = "webhook"\nurl = "https://h.example"\nsecret = "hunter2"', "destinations.a.secret"),
        ('[sources.a]\nconnector = "file"\npath = "x"\npassword = "hunter2"', "sources.a.password"),
        ('[sources.a]\nconnector = "file"\npath = "x"\nterms = "hunter2"', "sources.a.terms"),
    ],
)
def test_a_secret_in_the_file_is_refused_and_never_repeated(text: str, path: str) -> None:
    found = problems(text)
    assert [problem.path for problem in found] == [path]
    assert "hunter2" not in repr(found) + str(ConfigError(found))


def test_a_literal_secret_is_told_how_to_be_written() -> None:
    (problem,) = problems('[privacy]\npseudonymise = "hunter2"')
    assert "env:NAME or file:PATH" in problem.message


# --- finding and paths ----------------------------------------------------------------------------


def test_the_argument_goes_before_the_variable_and_the_variable_before_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, named = tmp_path / "given.toml", tmp_path / "named.toml"
    for path in (given, named, tmp_path / "listener.toml"):
        path.write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LISTENER_CONFIG", str(named))
    assert find(str(given)) == given
    assert find(None) == named
    monkeypatch.setenv("LISTENER_CONFIG", "")
    assert find(None).resolve() == (tmp_path / "listener.toml").resolve()


def test_a_missing_file_says_who_named_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LISTENER_CONFIG", raising=False)
    with pytest.raises(ConfigError, match="listener init"):
        find(None)
    with pytest.raises(ConfigError, match="--config"):
        find("nowhere.toml")
    monkeypatch.setenv("LISTENER_CONFIG", "nowhere.toml")
    with pytest.raises(ConfigError, match="named by LISTENER_CONFIG"):
        find(None)


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop").mkdir()
    path = tmp_path / "shop" / "listener.toml"
    path.write_text(
        '[sources.a]\nconnector = "file"\npath = "in/*.csv"\n[sources.b]\nconnector = "file"\n'
        'path = "/abs/x.csv"\n[privacy]\npseudonymise = "file:key"\n'
        '[destinations.w]\ntype = "webhook"\nurl = "https://h.example/a"\nsecret = "file:sub/secret"\n'
    )
    monkeypatch.chdir(tmp_path)
    settings = load("shop/listener.toml")
    assert settings.index.path == tmp_path / "shop" / "listener.db"
    assert settings.sources["a"].path == str(tmp_path / "shop" / "in" / "*.csv")  # type: ignore[attr-defined]
    assert settings.sources["b"].path == "/abs/x.csv"  # type: ignore[attr-defined]
    assert settings.privacy.pseudonymise == f"file:{tmp_path / 'shop' / 'key'}"
    webhook = settings.destinations["w"]
    assert webhook.secret == f"file:{tmp_path / 'shop' / 'sub' / 'secret'}"  # type: ignore[attr-defined]
    assert webhook.url == "https://h.example/a"  # type: ignore[attr-defined]


def test_an_empty_file_is_a_valid_one_with_the_console_as_destination() -> None:
    settings = loads("", HERE)
    assert list(settings.destinations) == ["console"]
    assert settings.sources == {}
    assert (settings.timezone, settings.index.engine, settings.alerts.max_age) == ("UTC", "embedded", timedelta(days=1))


def test_a_destination_named_console_keeps_its_own_settings() -> None:
    settings = loads('[destinations.console]\ntype = "console"\ntimeout = "3s"', HERE)
    assert settings.destinations["console"].timeout == timedelta(seconds=3)


# --- lines ----------------------------------------------------------------------------------------


def test_lines_are_found_past_values_that_span_lines_and_look_like_tables() -> None:
    text = (
        'a = """\n[b]\nc = 1\n"""\nlist = [ # x\n  "]",\n\n]\n"q.r".s = 1\nd.e.f = 2\n[b]\n# c = 0\nc = { x = 1 }\n'
        "[[many]]\nk = 1\n[[many]]\nk = 2\n[ b . 'z y' ]\nw = 1979-05-27\n"
    )
    tomllib.loads(text)
    lines = Lines(text)
    assert lines.of(("a",)) == 1
    assert lines.of(("list", 0)) == 5
    assert lines.of(("q.r", "s")) == 9
    assert lines.of(("d", "e", "f")) == 10
    assert lines.of(("b",)) == 11
    assert lines.of(("b", "c")) == lines.of(("b", "c", "x")) == 13
    assert lines.of(("b", "z y", "w")) == 19
    assert lines.of(("nowhere",)) is None


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20), min_size=1, max_size=8))
def test_every_key_is_found_on_its_line(values: dict[str, str]) -> None:
    from listener.settings_text import toml

    text = "[t]\n" + "".join(f"{toml(key)} = {toml(value)}\n" for key, value in values.items())
    assert tomllib.loads(text) == {"t": values}
    lines = Lines(text)
    assert [lines.of(("t", key)) for key in values] == list(range(2, len(values) + 2))


# --- whatever is given ----------------------------------------------------------------------------


def _names(keys: tuple[Key, ...]) -> Iterator[str]:
    for key in keys:
        yield key.name
        yield from _names(key.keys)


_KNOWN = sorted(
    {
        *_names(keys_of(Settings)),
        *(
            name
            for kind in ("connector", "type")
            for plugin in built_in(kind)
            for name in _names(plugin_keys(kind, plugin))
        ),
        *(plugin for kind in ("connector", "type") for plugin in built_in(kind)),
        "a",
        "B c",
    }
)
_SCALARS = st.one_of(
    st.text(max_size=12), st.integers(), st.floats(), st.booleans(), st.datetimes(), st.dates(), st.times(),
    st.sampled_from(["5m", "9" * 400 + "d", "file", "feed", "webhook", "console", "apprise", "env:X", "file:x", "UTC",
                     "Europe", "../x", "/", "\x00", "default", "x.toml", "embedded", "~nobody/x", "{x}"]),
)  # fmt: skip
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_KNOWN) | st.text(), inner, max_size=6),
    max_leaves=25,
)
_PLUGIN = st.dictionaries(st.sampled_from(_KNOWN), _VALUES, max_size=6)
_TABLES = st.dictionaries(
    st.sampled_from(["a", "b-2", "Bad"]),
    st.builds(lambda table, name: {**table, "connector": name, "type": name}, _PLUGIN, st.sampled_from(_KNOWN))
    | st.builds(lambda table, name: {**table, "connector": name}, _PLUGIN, st.sampled_from(built_in("connector")))
    | st.builds(lambda table, name: {**table, "type": name}, _PLUGIN, st.sampled_from(built_in("type"))),
    max_size=3,
)


def outcome(read: Callable[[], Settings]) -> Settings | ConfigError:
    """Any other exception goes through, and fails the test."""
    try:
        return read()
    except ConfigError as error:
        return error


@given(
    st.dictionaries(st.sampled_from(_KNOWN) | st.text(max_size=5), _VALUES, max_size=8),
    st.fixed_dictionaries({}, optional={"sources": _TABLES, "destinations": _TABLES}),
)
@examples(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_data_is_either_settings_or_a_config_error(data: dict[str, Any], tables: dict[str, Any]) -> None:
    result = outcome(lambda: validate({**data, **tables}, HERE))
    if isinstance(result, ConfigError):
        assert result.problems
        assert all(str(problem) for problem in result.problems)


@given(st.text(alphabet="ab=[]{}\".'\n# 1,\\é", max_size=60) | st.text(max_size=40))
@examples(max_examples=300, deadline=None)
def test_any_text_is_either_settings_or_a_config_error(text: str) -> None:
    result = outcome(lambda: loads(text, HERE))
    assert isinstance(result, Settings) or result.problems


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3650)))
def test_a_duration_is_read_back_as_it_was_written(length: timedelta) -> None:
    whole = timedelta(milliseconds=length // timedelta(milliseconds=1))
    assert parse_duration(format_duration(whole)) == whole
    text = f'[alerts]\nmax_age = "{format_duration(whole)}"'
    assert loads(text, HERE).alerts.max_age == whole


# --- another package's connector ------------------------------------------------------------------

_THIRD_PARTY = """
from typing import Any
from pathlib import Path
from pydantic import Field, model_validator
from connectors.base import SecretReference, SourceConfig
from listener.errors import ConfigError

class Config(SourceConfig):
    keys: tuple[SecretReference, ...] = Field((), description="keys")
    spool: Path = Field(Path("spool"), description="folder")

    @model_validator(mode="after")
    def check(self) -> "Config":
        if self.brand == "{Acme}":
            raise ConfigError("no {Acme} here", path="brand")
        return self

class Pigeons:
    Config = Config
    push = False
    live = True
    def __init__(self, config: Any, context: Any) -> None: ...
    def pages(self, cursor: Any) -> Any: ...
    async def close(self) -> None: ...
"""


def test_another_packages_connector_is_validated_by_its_own_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pigeon_post.py").write_text(_THIRD_PARTY)
    meta = tmp_path / "pigeon_post-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeon-post\nVersion: 1.0\n")
    (meta / "entry_points.txt").write_text("[listener.connectors]\npigeons = pigeon_post:Pigeons\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    good = loads('[sources.p]\nconnector = "pigeons"\nkeys = ["file:k", "env:K"]\n', HERE).sources["p"]
    assert good.spool == HERE / "spool"  # type: ignore[attr-defined]
    assert good.keys == (f"file:{HERE / 'k'}", "env:K")  # type: ignore[attr-defined]
    (literal,) = problems('[sources.p]\nconnector = "pigeons"\nkeys = ["env:K", "hunter2"]\n')
    assert (literal.path, literal.line, literal.value) == ("sources.p.keys[1]", 3, None)
    (own,) = problems('[sources.p]\nconnector = "pigeons"\nbrand = "{Acme}"\n')
    assert (own.path, own.message) == ("sources.p", "no {Acme} here")
    assert "pigeons" in problems('[sources.p]\nconnector = "doves"\n')[0].allowed
    assert "pigeons" not in reference() + example()


# --- check ----------------------------------------------------------------------------------------


def test_check_gives_nothing_for_a_sound_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "0123456789abcdef")
    (tmp_path / "in").mkdir()
    path = tmp_path / "listener.toml"
    path.write_text(
        'brand = "Acme"\n[brands]\nAcme = ["acme"]\n[privacy]\npseudonymise = "env:A_KEY"\n'
        '[sources.a]\nconnector = "file"\npath = "in"\n[sources.b]\nconnector = "file"\npath = "in/*.csv"\n'
    )
    assert check(path) == []


def test_check_warns_of_what_the_settings_name_and_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("A_KEY", raising=False)
    (tmp_path / "blank").write_text("\n")
    path = tmp_path / "listener.toml"
    path.write_text(
        'brand = "Acmee"\n[brands]\nAcme = []\nB = ["bee", "Bee"]\nC = ["BEE"]\n[index]\npath = "no/x.db"\n'
        '[sources.a]\nconnector = "file"\npath = "nowhere"\n[sources.off]\nconnector = "file"\nenabled = false\n'
        'path = "nowhere"\n[destinations.t]\ntype = "webhook"\nurl = "env:A_KEY"\nsecret = "file:blank"\n'
        '[privacy]\npseudonymise = "file:nothing"\n'
    )
    found = check(path)
    assert all(isinstance(problem, Warned) and str(problem).startswith("warning: line ") for problem in found)
    assert {(problem.path, problem.line) for problem in found} == {
        ("brands.Acme", 3), ("brands.C", 5), ("brand", 1), ("index.path", 7), ("sources.a.path", 10),
        ("destinations.t.url", 17), ("destinations.t.secret", 18), ("privacy.pseudonymise", 20),
    }  # fmt: skip


def test_check_warns_of_a_short_key_without_printing_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("abcdefgh")
    path = tmp_path / "listener.toml"
    path.write_text('[privacy]\npseudonymise = "file:key"\n')
    (problem,) = check(path)
    assert "shorter than 16" in problem.message
    assert "abcdefgh" not in repr(problem)


def test_check_lists_the_errors_of_a_wrong_file(tmp_path: Path) -> None:
    path = tmp_path / "listener.toml"
    path.write_text(MANY)
    found = check(path)
    assert len(found) == 13
    assert not any(isinstance(problem, Warned) for problem in found)


# --- texts made from the models -------------------------------------------------------------------


def uncommented(text: str) -> str:
    """The example with every setting in it set: `#` alone in front is taken away, `# ` is a comment."""
    return re.sub(r"(?m)^#(?=[^ \n])", "", text)


def test_the_example_as_it_is_equals_the_defaults() -> None:
    assert loads(example(), HERE) == loads("", HERE)


def test_the_example_with_everything_set_is_valid_and_shows_every_key() -> None:
    text = uncommented(example())
    settings = loads(text, HERE)
    assert {source.connector for source in settings.sources.values()} == set(built_in("connector"))
    assert {destination.type for destination in settings.destinations.values()} == set(built_in("type"))
    data = tomllib.loads(text)
    own = [key for key in keys_of(Settings) if key.name not in ("sources", "destinations")]
    assert {key.name for key in own} <= set(data)
    for key in own:
        assert {inner.name for inner in key.keys} <= set(data[key.name] if key.keys else {}), key.name
    shown = {name for table in data["sources"].values() for name in table}
    for name in built_in("connector"):
        assert {key.name for key in plugin_keys("connector", name)} <= shown, name


def test_the_example_shows_the_defaults_and_nothing_else_where_there_are_any() -> None:
    data = tomllib.loads(uncommented(example()))
    plain = {name: data[name] for name in ("index", "classifier", "alerts", "serve", "limits")}
    assert validate(plain, HERE) == loads("", HERE)


def test_every_key_is_described() -> None:
    def undescribed(keys: tuple[Key, ...], where: str) -> Iterator[str]:
        for key in keys:
            if not key.description:
                yield f"{where}.{key.name}"
            yield from undescribed(key.keys, f"{where}.{key.name}")

    missing = list(undescribed(keys_of(Settings), "settings"))
    missing += undescribed(keys_of(SourceConfig), "source")
    missing += undescribed(keys_of(NotifierConfig), "destination")
    for selector in ("connector", "type"):
        for name in built_in(selector):  # the key that names the plugin is described once, for all of them
            own = tuple(key for key in plugin_keys(selector, name) if key.name != selector)
            missing += undescribed(own, name)
    assert missing == []


def test_init_writes_a_valid_file_with_the_embedded_engine_beside_it_and_no_sources(tmp_path: Path) -> None:
    folder = tmp_path / 'a "b" \\ {c}\nd'
    settings = loads(initial(folder), folder)
    assert settings.index.path == folder / "listener.db"
    assert settings.index.engine == "embedded"
    assert settings.sources == {}
    more = loads(uncommented(initial(folder)), folder)
    assert list(more.sources) == ["reviews"]
    assert set(more.destinations) == {"console", "team"}


def test_the_settings_page_is_up_to_date() -> None:
    """Mended by `python -m listener.settings --docs > docs/settings.md`."""
    assert (ROOT / "docs" / "settings.md").read_text("utf8") == reference()


def test_the_module_prints_the_page_and_the_example() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf8"}

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "listener.settings", *arguments]
        return subprocess.run(command, capture_output=True, encoding="utf8", env=environment, timeout=60, check=False)

    assert run("--docs").stdout == reference()
    assert run("--example").stdout == example()
    assert run("--nothing").returncode == 2

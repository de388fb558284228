"""From what pydantic says to what a person mends: path, line, value and allowed values of each problem."""

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from listener.duration import parse_duration
from listener.errors import ConfigError, Problem
from listener.secret import PATTERN as SECRET_PATTERN
from listener.settings_fields import Key, keys_of
from listener.settings_plugins import plugin_keys

Path = tuple[str | int, ...]

_MESSAGES = {
    "missing": "is missing",
    "string_type": "should be text",
    "string_too_short": "is empty",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "list_type": "should be a list",
    "tuple_type": "should be a list",
    "set_type": "should be a list",
    "dict_type": "should be a table",
    "mapping_type": "should be a table",
    "model_type": "should be a table",
    "time_delta_type": "is not a duration: write 90s, 20m, 4h, 7d or 1h30m",
    "time_delta_parsing": "is not a duration: write 90s, 20m, 4h, 7d or 1h30m",
    "path_type": "should be a path, as text",
}
# A secret written where it must not stand is met by one of the other kinds of error: their values are never shown.
_SHOWN = re.compile(
    r"literal_error|enum|value_error|time_|refused|journey|engine|classifier|duration|int_|bool_parsing|float_|greater_|less_"
)


class Lines:
    """Where each table and key of a TOML text stands; the text is scanned at the first question."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: dict[tuple[str, ...], int] | None = None

    def of(self, path: Path) -> int | None:
        """The line (1-based) of the key at `path`, else of the nearest thing around it, None where nothing is."""
        if self._lines is None:
            self._lines = _scan(self._text)
        names = tuple(part for part in path if isinstance(part, str))
        for length in range(len(names), 0, -1):
            if names[:length] in self._lines:
                return self._lines[names[:length]]
        return None


def _scan(text: str) -> dict[tuple[str, ...], int]:
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    lines = text.replace("\r\n", "\n").split("\n")
    number = 0
    while number < len(lines):
        line, start = lines[number].strip(), number
        number += 1
        header = re.fullmatch(r"\[\[?(.+?)\]?\]\s*(#.*)?", line)
        if not line or line.startswith("#"):
            continue
        if header:
            table = _names(f"{header[1]} = 0")
            keys = [table]
        else:
            statement = lines[start]
            while not (names := _names(statement)) and number < len(lines):  # a value over several lines
                statement += "\n" + lines[number]
                number += 1
            keys = [table + names]
        for key in keys:
            for length in range(1, len(key) + 1):
                found.setdefault(key[:length], start + 1)
            if header:
                found[key] = start + 1
    return found


def _names(statement: str) -> tuple[str, ...]:
    """The dotted names that one statement sets, () where it is not complete."""
    try:
        value: Any = tomllib.loads(statement)
    except ValueError:
        return ()
    dots = _dots(statement)
    names: list[str] = []
    while isinstance(value, dict) and value and len(names) <= dots:
        name = next(iter(value))
        names.append(name)
        value = value[name]
    return tuple(names)


def _dots(statement: str) -> int:
    """How many dots stand between the names left of the first `=` outside quotes."""
    key = re.match(r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^"'=])*""", statement)
    return re.sub(r""""(?:[^"\\]|\\.)*"|'[^']*'""", "", key[0] if key else "").count(".")


def problems_of(
    error: ValidationError, data: Mapping[str, Any], model: type[BaseModel], lines: Lines | None
) -> tuple[Problem, ...]:
    """Every problem in the order of the file; `data` is what stood in it."""
    found: dict[Path, Problem] = {}
    for detail in error.errors(include_url=False):
        path = _in_file(detail["loc"], data, named=detail["type"] in ("missing", "refused"))
        problem = _problem(detail, path, data, model, lines)
        if path in found and found[path].message != problem.message:  # the options of a choice each say no
            first = found[path]
            allowed = tuple(dict.fromkeys(first.allowed + problem.allowed))
            problem = Problem(first.path, f"{first.message}, or {problem.message}", first.value, allowed, first.line)
        found[path] = problem
    return tuple(sorted(found.values(), key=lambda problem: problem.line or 0))


def _problem(detail: Any, path: Path, data: Mapping[str, Any], model: type[BaseModel], lines: Lines | None) -> Problem:
    kind, context = detail["type"], detail.get("ctx", {})
    allowed = tuple(str(item) for item in context.get("allowed", ()))
    message = _MESSAGES.get(kind) or re.sub(r"^(Value error, |Assertion failed, |Input )", "", detail["msg"])
    if context.get("pattern") == SECRET_PATTERN:
        message = "a secret is written here as env:NAME or file:PATH, never as itself"
    elif kind == "string_pattern_mismatch" and detail["loc"][-1:] != ("[key]",):
        message = f"does not have the form {context['pattern']}"
    elif detail["loc"][-1:] == ("[key]",):
        message = "a name is 1 to 64 of a-z 0-9 _ -" if kind.endswith("mismatch") else f"its name {message}"
    elif kind in ("literal_error", "enum"):
        message, allowed = "is none of the allowed values", tuple(re.findall(r"'([^']*)'", context["expected"]))
    elif kind == "extra_forbidden":
        allowed = tuple(key.name for key in _keys_at(path[:-1], data, keys_of(model)))
        near = difflib.get_close_matches(str(path[-1]), allowed, 1)
        message = f"unknown key; did you mean {near[0]}?" if near else "unknown key"
    value = detail["input"]
    shown = _SHOWN.match(kind) is not None and isinstance(value, str | int | float)
    if shown and repr(value) not in message:
        message += f": {value!r}" if len(repr(value)) <= 80 else f": {repr(value)[:80]}..."
    line = lines.of(path) if lines else None
    return Problem(dotted(path), message, value if shown else None, allowed, line)


def _in_file(location: Sequence[str | int], data: Any, named: bool) -> Path:
    """A location of pydantic without the parts that are no keys of the data, such as `[key]` and names of types.

    With `named` the last part names a key that should be there.
    """
    path: list[str | int] = []
    for position, part in enumerate(location):
        inside = isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)
        if inside or (isinstance(data, Mapping) and part in data):
            data = data[part]
        elif not (named and position == len(location) - 1):
            continue
        path.append(part)
    return tuple(path)


def _keys_at(path: Path, data: Any, keys: tuple[Key, ...]) -> tuple[Key, ...]:
    """The keys that may stand in the table at `path`."""
    for position, part in enumerate(path):
        data = data.get(part) if isinstance(data, Mapping) else None
        selector = {"sources": "connector", "destinations": "type"}.get(str(path[0]))
        if position == 1 and selector and isinstance(data, Mapping):
            try:
                keys = plugin_keys(selector, str(data.get(selector)))
            except ConfigError:
                return ()
        elif position != 1 or not selector:
            keys = next((key.keys for key in keys if key.name == part), ())
            if position == 0 and selector:
                keys = ()
    return keys


def too_long(data: Any, lines: Lines | None, path: Path = ()) -> tuple[Problem, ...]:
    """A problem for each duration in the data that is longer than some 2.7 million years."""
    inside = data.items() if isinstance(data, Mapping) else enumerate(data) if isinstance(data, list | tuple) else ()
    found = [problem for key, item in inside for problem in too_long(item, lines, (*path, key))]
    if isinstance(data, str):
        try:
            parse_duration(data)
        except OverflowError:
            found.append(
                Problem(dotted(path), "this duration is too long", None, (), lines.of(path) if lines else None)
            )
        except ValueError:
            pass  # some other text
    return tuple(found)


def dotted(path: Path) -> str:
    """A path as people write it: `sources.reviews.every`, `brands."A b"[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else '"' + part.replace('"', '\\"') + '"'
            text += f".{name}" if text else name
    return text

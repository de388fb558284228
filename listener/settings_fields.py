"""The keys of a settings model as plain data, read from its JSON schema: for examples, docs, paths and secrets."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from listener.duration import PATTERN as DURATION_PATTERN
from listener.duration import format_duration
from listener.secret import PATTERN as SECRET_PATTERN

_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_PLAIN = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_PATH_FORMATS = ("path", "file-path", "directory-path")


@dataclass(frozen=True, slots=True)
class Key:
    """One key: `kind` says in words what it takes, `default` is as it would stand in TOML (None: not set)."""

    name: str
    description: str
    kind: str
    default: Any = None
    required: bool = False
    allowed: tuple[str, ...] = ()
    secret: bool = False
    path: bool = False
    many: bool = False  # a list
    example: Any = None
    keys: tuple["Key", ...] = ()  # of a table within


@lru_cache(maxsize=256)
def keys_of(model: type[BaseModel]) -> tuple[Key, ...]:
    """The keys of a model in the order of its declaration."""
    schema = model.model_json_schema()
    return _keys(schema, schema.get("$defs", {}))


def _keys(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> tuple[Key, ...]:
    required = schema.get("required", ())
    return tuple(_key(name, field, name in required, defs) for name, field in schema.get("properties", {}).items())


def _key(name: str, field: Mapping[str, Any], required: bool, defs: Mapping[str, Any]) -> Key:
    options = [_resolved(option, defs) for option in field.get("anyOf", [field])]
    options = [{**option, **_bounds(field)} for option in options if option.get("type") != "null"]
    first = options[0] if options else {}
    table = first if "properties" in first and len(options) == 1 else {}
    return Key(
        name=name,
        description=str(field.get("description", first.get("description", ""))).strip(),
        kind=" or ".join(dict.fromkeys(_kind(option, defs) for option in options)),
        default=_default(field.get("default"), options),
        required=required,
        allowed=tuple(str(item) for option in options for item in _allowed(option, defs)),
        secret=any(_says(option, defs, _may_be_secret) for option in options),
        path=any(_says(option, defs, lambda leaf: leaf.get("format") in _PATH_FORMATS) for option in options),
        many=bool(options) and all(option.get("type") == "array" for option in options),
        example=next(iter(field.get("examples", first.get("examples", ()))), None),
        keys=_keys(table, defs),
    )


def _default(value: Any, options: Sequence[Mapping[str, Any]]) -> Any:
    if isinstance(value, str) and any(_is_duration(option) for option in options):
        return format_duration(TypeAdapter(timedelta).validate_python(value))  # the schema gives ISO 8601: PT5M
    return value


def _is_duration(schema: Mapping[str, Any]) -> bool:
    return schema.get("pattern") == DURATION_PATTERN or schema.get("format") == "duration"


def _resolved(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref", "")
    return {**defs[reference.rpartition("/")[2]], **schema} if reference else schema


def _may_be_secret(schema: Mapping[str, Any]) -> bool:
    # Some keys take a plain value or a reference; their pattern holds this one.
    return "(env|file):" in schema.get("pattern", "")


def _bounds(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: schema[key] for key in _BOUNDS if key in schema}


def _inner(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a list or a table of free keys holds, and what a choice chooses from."""
    held = [schema.get("items"), schema.get("additionalProperties"), *schema.get("prefixItems", ())]
    return [item for item in [*held, *schema.get("anyOf", ())] if isinstance(item, Mapping)]


def _says(schema: Mapping[str, Any], defs: Mapping[str, Any], test: Callable[[Mapping[str, Any]], bool]) -> bool:
    schema = _resolved(schema, defs)
    return test(schema) or any(_says(item, defs, test) for item in _inner(schema))


def _allowed(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> tuple[Any, ...]:
    schema = _resolved(schema, defs)
    if "const" in schema:
        return (schema["const"],)
    return tuple(schema.get("enum", ())) or tuple(value for item in _inner(schema) for value in _allowed(item, defs))


def _kind(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    schema = _resolved(schema, defs)
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(_kind(option, defs) for option in options))
    kind = schema.get("type")
    if schema.get("pattern") == SECRET_PATTERN:
        return "secret"
    if _is_duration(schema):
        return "duration"
    if schema.get("format") in _PATH_FORMATS:
        return "path"
    if kind == "array":
        return "list of " + (_kind(_inner(schema)[0], defs) if _inner(schema) else "values")
    if kind == "object":
        held = _inner(schema)
        return "table" if "properties" in schema or not held else "table of name = " + _kind(held[0], defs)
    return _PLAIN.get(str(kind), "choice" if _allowed(schema, defs) else "value") + _range(schema)


def _range(schema: Mapping[str, Any]) -> str:
    low, high, above, below = (schema.get(key) for key in _BOUNDS)
    if low is not None and high is not None:
        return f" {low} to {high}"
    words = {"at least": low, "at most": high, "above": above, "below": below}
    return ", ".join(["", *(f"{word} {value}" for word, value in words.items() if value is not None)])


# --- relative paths -------------------------------------------------------------------------------


def anchored(keys: tuple[Key, ...], data: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The data with paths, and the files of secrets, read as relative to `folder`.

    Left-out tables and paths that have a default are filled in, so that a default path is anchored too.
    """
    result = dict(data)
    for key in keys:
        if key.name not in result and (key.keys or key.path) and key.default is not None:
            result[key.name] = {} if key.keys else key.default
        if key.name not in result:
            continue
        value = result[key.name]
        if key.keys and isinstance(value, Mapping):
            result[key.name] = anchored(key.keys, value, folder)
        elif key.path:
            result[key.name] = _each_text(value, lambda text: absolute(text, folder))
        elif key.secret:
            result[key.name] = _each_text(value, lambda text: _anchored_secret(text, folder))
    return result


def absolute(text: str, folder: Path) -> str:
    """A path as it stands in the settings, from the folder of their file; `~` is the user's home."""
    return str(folder / os.path.expanduser(text)) if text else text


def _anchored_secret(text: str, folder: Path) -> str:
    if not re.match(SECRET_PATTERN, text) or not text.startswith("file:"):
        return text
    return "file:" + absolute(text.removeprefix("file:"), folder)


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list | tuple):
        return [_each_text(item, change) for item in value]
    if isinstance(value, Mapping):
        return {key: _each_text(item, change) for key, item in value.items()}
    return value


def with_paths(keys: tuple[Key, ...], names: tuple[str, ...]) -> tuple[Key, ...]:
    """The same keys, those of these names taken for paths even where they are declared as text."""
    return tuple(
        replace(key, path=True, kind=key.kind.replace("text", "path")) if key.name in names else key for key in keys
    )

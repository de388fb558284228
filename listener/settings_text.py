"""Texts made from the settings' models, so that they are never out of date: the example, a first file, the reference.

In the example `# ` begins a comment and `#` alone a setting to be had by taking the `#` away.
"""

import inspect
import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from connectors.base import SourceConfig
from listener.notifiers import NotifierConfig
from listener.settings import Settings
from listener.settings_fields import Key, keys_of
from listener.settings_plugins import built_in, plugin, plugin_keys

_WIDTH = 100
_EXAMPLES: Mapping[str, Any] = {  # of keys that have neither a default nor an example of their own
    "brand": "Acme", "product": "parcel", "place": "Lyon", "audience": "students", "channel": "trustpilot",
    "language": "fr", "url": "https://example.invalid/", "app": "284882215",
}  # fmt: skip
_PLUGINS = {  # section -> key that names the plugin, the keys all of them share
    "sources": ("connector", SourceConfig),
    "destinations": ("type", NotifierConfig),
}

_EXAMPLE_HEAD = """\
# Settings of the listener. Every key is shown with its default, or with an example where it has none:
# take away the "#" at the start of its line to set it. Left as it is, this file is valid.
# Secrets stand here only as env:NAME (an environment variable) or file:PATH (a file that holds nothing else).
# Relative paths start at this file's folder. `listener config check` says what is wrong, all at once.
"""

_INITIAL = """\
# Settings of the listener in {name}. `listener config example` prints all there are.

# Time zone of days, weeks and business hours.
timezone = "UTC"

# The brand that is ours: every view opens on it.
#brand = "Acme"

[index]
# Everything is kept in this one file, beside this one.
engine = "embedded"
path = "listener.db"

# Where mentions come from, one table each. `listener import FILE` needs none.
#[sources.reviews]
#connector = "feed"
#url = "https://example.invalid/reviews.xml"

# Where alerts go besides the console.
#[destinations.team]
#type = "apprise"
#url = "env:TEAM_ADDRESS"
"""

_REFERENCE_HEAD = """\
# Settings

All settings stand in one file, `listener.toml`: the one given with `--config FILE`, else the one that the
environment variable `LISTENER_CONFIG` names, else `./listener.toml`. `listener config check` lists everything
that is wrong with it at once, `listener config example` prints a commented file.

- Relative paths, those of `file:PATH` too, start at the folder of the file.
- A **secret** never stands in the file itself: `env:NAME` reads an environment variable, `file:PATH` a file that
  holds nothing else.
- A **duration** is written `90s`, `20m`, `4h`, `7d`, `2w`, or joined: `1h30m`.
- An unknown key is an error. Names of sources and destinations are 1 to 64 of `a-z 0-9 _ -`.

This page is generated: `python -m listener.settings --docs > docs/settings.md`.
"""


# --- the example ----------------------------------------------------------------------------------


def example() -> str:
    """A commented `listener.toml` with every key of the service, of our connectors and of our notifiers."""
    keys = keys_of(Settings)
    lines = [_EXAMPLE_HEAD.rstrip("\n")]
    for key in keys:
        if not _is_section(key):
            lines += ["", *_example_key(key)]
    for key in keys:
        if key.name in _PLUGINS:
            lines += ["", "", *_comment(key.description), *_example_plugins(key.name)]
        elif _is_section(key):
            lines += ["", "", *_comment(key.description), f"[{key.name}]", *_example_table(key)]
    return "\n".join(lines) + "\n"


def initial(folder: str | Path) -> str:
    """The `listener.toml` that `listener init` writes into a folder: the embedded engine there, no sources."""
    name = "".join(letter for letter in Path(folder).absolute().name if letter.isprintable())
    return _INITIAL.format(name=name or "this folder")


def _is_section(key: Key) -> bool:
    return bool(key.keys) or key.kind.startswith("table")


def _example_table(key: Key) -> Iterator[str]:
    if not key.keys:  # a table whose keys are the user's own
        for name, value in (key.example or {}).items():
            yield f"#{toml_key(name)} = {toml(value)}"
    for inner in key.keys:
        yield from _example_key(inner)


def _example_plugins(section: str) -> Iterator[str]:
    selector, shared_model = _PLUGINS[section]
    shared = tuple(key for key in keys_of(shared_model) if key.name != selector)
    for position, name in enumerate(built_in(selector)):
        own = _own_keys(section, name)
        table = f"{section}.my-{name}"
        yield from ("", *_comment(_summary(plugin(selector, name))), f"#[{table}]", f"#{selector} = {toml(name)}")
        later: list[str] = []
        names = {key.name for key in own}
        common = [key for key in shared if position == 0 and key.name not in names]
        for key in [*sorted(own, key=lambda key: not key.required), *common]:
            if key.keys:
                inner = [line for each in key.keys for line in _example_key(each, table)]
                later += ["", *_comment(key.description), f"#[{table}.{key.name}]", *inner]
            else:
                yield from _example_key(key, table)
        if position:
            first = f"{section}.my-{built_in(selector)[0]}"
            yield from _comment(f"... and the keys that all {section} share, shown in {first}.")
        yield from later


def _example_key(key: Key, table: str = "") -> Iterator[str]:
    about = [f"one of: {', '.join(key.allowed)}" if key.allowed else key.kind]
    about += ["required"] if key.required else ["not set by default"] if key.default is None else []
    yield from _comment(f"{key.description.rstrip('.')} [{'; '.join(about)}]")
    empty = key.required or key.default is None or (key.default in ([], {}) and (key.example is not None or key.secret))
    value = _sample(key, table) if empty else key.default
    yield f"#{toml_key(key.name)} = {toml(value)}"


def _sample(key: Key, table: str) -> Any:
    if key.example is not None:
        return key.example
    if "secret" in key.kind.split():
        name = f"{table.rpartition('.')[2].removeprefix('my-')}_{key.name}".upper().replace("-", "_").strip("_")
        return [f"env:{name}"] if key.many else f"env:{name}"
    by_kind = {"duration": "30d", "path": "mentions.csv", "whole": 1, "number": 1.0, "true": True, "list": []}
    value: Any = key.allowed[0] if key.allowed else by_kind.get(key.kind.replace(",", "").split()[0])
    if key.path and value is None:
        value = by_kind["path"]
    if value is None:
        value = {} if key.kind.startswith("table") else _EXAMPLES.get(key.name, key.name)
    return value


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


# --- the reference --------------------------------------------------------------------------------


def reference() -> str:
    """The page docs/settings.md: every section and key, of our connectors and notifiers too."""
    keys = keys_of(Settings)
    parts = [_REFERENCE_HEAD, "## Top level\n", _rows(key for key in keys if not _is_section(key))]
    for key in keys:
        if _is_section(key):
            parts += [f"## [{key.name}]\n", key.description + "\n"]
        if key.name in _PLUGINS:
            parts += _plugin_parts(key.name)
        elif key.keys:
            parts += [_rows(key.keys)]
        elif _is_section(key):
            held = "\n".join(f"{toml_key(name)} = {toml(value)}" for name, value in (key.example or {}).items())
            parts += [f"```toml\n[{key.name}]\n{held}\n```\n"]
    return "\n".join(parts)


def _plugin_parts(section: str) -> Iterator[str]:
    selector, shared_model = _PLUGINS[section]
    names = ", ".join(f"`{name}`" for name in built_in(selector))
    yield f"Keys of every table `[{section}.NAME]` (`{selector}` is one of {names}, or comes with another package):\n"
    yield _rows(_flat(keys_of(shared_model)))
    for name in built_in(selector):
        yield f'### {selector} = "{name}"\n'
        yield _summary(plugin(selector, name)) + "\n"
        own = tuple(_flat(_own_keys(section, name)))
        yield _rows(own) if own else "No keys of its own.\n"


def _own_keys(section: str, name: str) -> tuple[Key, ...]:
    """The keys of a connector or notifier that not all of them have, or have otherwise."""
    selector, shared_model = _PLUGINS[section]
    shared = {(key.name, str(key.default), key.description) for key in keys_of(shared_model)}
    return tuple(
        key for key in plugin_keys(selector, name)
        if key.name != selector and (key.name, str(key.default), key.description) not in shared
    )  # fmt: skip


def _flat(keys: Iterable[Key], prefix: str = "") -> Iterator[Key]:
    from dataclasses import replace

    for key in keys:
        if key.keys:
            yield from _flat(key.keys, f"{prefix}{key.name}.")
        else:
            yield replace(key, name=prefix + key.name)


def _rows(keys: Iterable[Key]) -> str:
    lines = ["| key | takes | default | meaning |", "|---|---|---|---|"]
    for key in keys:
        takes = " ".join(f"`{toml(value)}`" for value in key.allowed) if key.allowed else key.kind
        if key.allowed and key.many:
            takes = f"list of {takes}"
        default = "required" if key.required else "-" if key.default is None else f"`{toml(key.default)}`"
        cells = (f"`{key.name}`", takes, default, key.description)
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _summary(described: type[Any]) -> str:
    """The first paragraph of a class's docstring, of its module's where it has none."""
    text = inspect.cleandoc(described.__doc__ or "") or inspect.getdoc(inspect.getmodule(described)) or ""
    return " ".join(text.split("\n\n")[0].split())


# --- TOML -----------------------------------------------------------------------------------------


def toml(value: Any) -> str:
    """A value of JSON as TOML: text, numbers, booleans, lists, tables in one line (their nulls left out)."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, Mapping):
        held = ", ".join(f"{toml_key(key)} = {toml(item)}" for key, item in value.items() if item is not None)
        return f"{{ {held} }}" if held else "{}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_key(name: str) -> str:
    """A key as TOML writes it, in quotes where it needs them."""
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else toml(name)

"""What `listener config check` says: every error of a settings file, else what will not work although it is valid."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from listener.errors import ConfigError, Problem
from listener.secret import PATTERN as SECRET_PATTERN
from listener.secret import reveal
from listener.settings import Settings, load
from listener.settings_fields import Key, keys_of
from listener.settings_plugins import plugin_keys
from listener.settings_problems import Lines, dotted

_SHORTEST_KEY = 16


@dataclass(frozen=True, slots=True)
class Warned(Problem):
    """A problem that does not make the settings wrong: the service starts, something in it may not work."""

    def __str__(self) -> str:
        # No bare super(): a slotted dataclass is a new class, which the compiler's __class__ does not name.
        return "warning: " + Problem.__str__(self)


def check(path: str | Path) -> list[Problem]:
    """Every problem of a settings file: its errors, or where it has none the warnings (instances of `Warned`)."""
    try:
        settings = load(path)
    except ConfigError as error:
        return list(error.problems)
    lines = Lines(Path(path).read_bytes().decode("utf-8-sig"))
    return [Warned(dotted(where), message, value, (), lines.of(where)) for where, message, value in warnings(settings)]


_Warning = tuple[tuple[str | int, ...], str, object]  # path, message, value


def warnings(settings: Settings) -> Iterator[_Warning]:
    """What valid settings name that is not there: brand terms, secrets, files, folders."""
    yield from _brand_warnings(settings)
    yield from _own_path_warnings(settings)
    yield from _secret_warnings(("privacy",), settings.privacy, keys_of(type(settings.privacy)))
    yield from _key_warnings(settings)
    for name, source in settings.sources.items():
        if source.enabled:
            keys = plugin_keys("connector", source.connector)
            yield from _secret_warnings(("sources", name), source, keys)
            yield from _path_warnings(("sources", name), source, keys)
    for name, destination in settings.destinations.items():
        keys = plugin_keys("type", destination.type)
        yield from _secret_warnings(("destinations", name), destination, keys)


def _brand_warnings(settings: Settings) -> Iterator[_Warning]:
    owners: dict[str, str] = {}
    for brand, terms in settings.brands.items():
        if not terms:
            yield ("brands", brand), "has no terms: it is never found in a text", None
        for term in terms:
            owner = owners.setdefault(term.casefold(), brand)
            if owner != brand:
                yield ("brands", brand), f"this term stands for {owner} already: {term!r}", term
    if settings.brand and settings.brands and settings.brand not in settings.brands:
        yield ("brand",), f"has no terms in [brands], which knows {', '.join(settings.brands)}", settings.brand


def _own_path_warnings(settings: Settings) -> Iterator[_Warning]:
    if not settings.index.path.parent.is_dir():
        yield ("index", "path"), f"there is no folder {settings.index.path.parent}", str(settings.index.path)


def _key_warnings(settings: Settings) -> Iterator[_Warning]:
    reference = settings.privacy.pseudonymise
    if reference is not None:
        try:
            short = len(reveal(reference).encode("utf8", "surrogateescape")) < _SHORTEST_KEY
        except ConfigError:
            return  # told already, as a secret that is not set
        if short:
            message = f"the key is shorter than {_SHORTEST_KEY} characters: handles could be guessed back"
            yield ("privacy", "pseudonymise"), message, reference


def _secret_warnings(where: tuple[str | int, ...], model: BaseModel, keys: tuple[Key, ...]) -> Iterator[_Warning]:
    for key in keys:
        value = getattr(model, key.name, None)
        if key.keys and isinstance(value, BaseModel):
            yield from _secret_warnings((*where, key.name), value, key.keys)
        elif key.secret:
            for path, reference in _texts((*where, key.name), value):
                if not re.match(SECRET_PATTERN, reference):
                    continue  # a key that takes a plain value too, and has one
                try:
                    reveal(reference)
                except ConfigError as error:
                    yield path, error.problems[0].message, reference


def _path_warnings(where: tuple[str | int, ...], model: BaseModel, keys: tuple[Key, ...]) -> Iterator[_Warning]:
    for key in keys:
        value = getattr(model, key.name, None)
        if key.keys and isinstance(value, BaseModel):
            yield from _path_warnings((*where, key.name), value, key.keys)
        elif key.path:
            for path, text in _texts((*where, key.name), value):
                if not _is_there(Path(text)):
                    yield path, f"there is no such file or folder: {text}", text


def _is_there(path: Path) -> bool:
    """Whether the path exists; of a pattern, whether the folder exists in which it looks."""
    if path.exists():
        return True
    parts = path.parts
    wild = next((position for position, part in enumerate(parts) if re.search(r"[*?\[]", part)), None)
    return wild is not None and Path(*parts[:wild]).is_dir()


def _texts(where: tuple[str | int, ...], value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str | Path):
        yield where, str(value)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts((*where, name), item)
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from _texts((*where, position), item)

"""The tables of the settings that a connector or a notifier checks with its own `Config`."""

from collections.abc import Mapping
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from connectors import registry
from connectors.base import SourceConfig
from listener import notifiers
from listener.errors import ConfigError
from listener.settings_fields import Key, anchored, keys_of, with_paths

CLASSIFIERS = ("listener-e5", "rule", "none")
CLASSIFIER_GROUP = "listener.classifiers"


def classifiers() -> tuple[str, ...]:
    """The names of every classifier: ours, and those of entry points."""
    return tuple(dict.fromkeys((*CLASSIFIERS, *(point.name for point in entry_points(group=CLASSIFIER_GROUP)))))


def known(selector: str) -> tuple[str, ...]:
    """The names that `connector` (of a source) or `type` (of a destination) may take."""
    return tuple(registry.known() if selector == "connector" else notifiers.known())


def built_in(selector: str) -> tuple[str, ...]:
    """Of these, our own: what the documentation describes, whatever else is installed."""
    return tuple(registry.BUILT_IN if selector == "connector" else notifiers.NOTIFIERS)


def plugin(selector: str, name: str) -> Any:
    """The connector's or notifier's class. Raises ConfigError."""
    try:
        return registry.load(name) if selector == "connector" else notifiers.load(name)
    except ImportError as error:
        raise ConfigError(f"{name} cannot be loaded: {error}", path=selector) from error


def plugin_config(selector: str, name: str) -> type[BaseModel]:
    """The settings that a connector or notifier declares. Raises ConfigError."""
    return cast("type[BaseModel]", plugin(selector, name).Config)


def plugin_keys(selector: str, name: str) -> tuple[Key, ...]:
    """Their keys. Raises ConfigError."""
    found = plugin(selector, name)
    keys = keys_of(found.Config)
    # Files are read by sources that are not pushed to; `path` of a pushed one is a path of its URL.
    reads_files = selector == "connector" and not getattr(found, "push", False)
    return with_paths(keys, ("path", "paths", "folder")) if reads_files else keys


def source_config(value: Any, folder: Path) -> SourceConfig:
    """The connector's `Config` of a table; raises pydantic's ValidationError, every problem of the table in it."""
    if isinstance(value, SourceConfig):
        return value
    config = cast("SourceConfig", _validated("connector", value, folder))
    if config.every <= timedelta(0):
        raise _refusal("every", "the pause must be longer than 0s", value.get("every"))
    return config


def destination_config(value: Any, folder: Path) -> notifiers.NotifierConfig:
    """The notifier's `Config` of a table; raises pydantic's ValidationError."""
    if isinstance(value, notifiers.NotifierConfig):
        return value
    return cast("notifiers.NotifierConfig", _validated("type", value, folder))


def _validated(selector: str, value: Any, folder: Path) -> BaseModel:
    if not isinstance(value, Mapping):
        raise PydanticCustomError("table_type", "should be a table")
    if selector not in value:
        raise _refusal(selector, "is missing", None, known(selector))
    name = value[selector]
    if not isinstance(name, str):
        raise _refusal(selector, "should be text", name, known(selector))
    try:
        model, keys = plugin_config(selector, name), plugin_keys(selector, name)
    except ConfigError as error:
        problem = error.problems[0]
        raise _refusal(selector, problem.message, name, problem.allowed) from error
    try:
        return model.model_validate(anchored(keys, value, folder), context={"folder": folder})
    except ConfigError as error:  # a Config of another author may raise ours
        details: list[InitErrorDetails] = [
            {"type": _custom(problem.message, problem.allowed), "loc": (), "input": None} for problem in error.problems
        ]
        raise ValidationError.from_exception_data(selector, details) from error


def _custom(message: str, allowed: tuple[str, ...] = ()) -> PydanticCustomError:
    # The text goes in as a value: as a template its braces would be filled in.
    return PydanticCustomError("refused", "{text}", {"text": message, "allowed": allowed})


def _refusal(key: str, message: str, value: object, allowed: tuple[str, ...] = ()) -> ValidationError:
    detail: InitErrorDetails = {"type": _custom(message, allowed), "loc": (key,), "input": value}
    return ValidationError.from_exception_data(key, [detail])

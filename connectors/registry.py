"""Connectors by name: one literal table of ours, and what other packages declare.

A third-party connector is an entry point of the group `listener.connectors`: `name = "package.module:Class"`.
"""

from importlib import import_module
from importlib.metadata import entry_points
from typing import cast

from connectors.base import Connector
from listener.errors import ConfigError, Problem

GROUP = "listener.connectors"
BUILT_IN = {
    "apple": "connectors.apple:Apple",
    "feed": "connectors.feed:Feed",
    "file": "connectors.file:File",
    "sample": "connectors.sample:Sample",
    "webhook": "connectors.webhook:Webhook",
}


def known() -> list[str]:
    """The names of every connector that can be loaded, sorted."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def load(name: str) -> type[Connector]:
    """The connector's class, imported now. Raises ConfigError for an unknown name or one that cannot be imported."""
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return cast("type[Connector]", getattr(import_module(module), attribute))
    for point in entry_points(group=GROUP, name=name):
        try:
            found = point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"cannot load {point.value}: {error}", path=f"connector {name}") from error
        if not (isinstance(found, type) and hasattr(found, "Config") and hasattr(found, "pages")):
            message = f"{point.value} is no connector: it has no Config or no pages()"
            raise ConfigError(message, path=f"connector {name}")
        return cast("type[Connector]", found)
    raise ConfigError(Problem("connector", "unknown connector", name, tuple(known())))

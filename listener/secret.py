"""Secrets stand in the settings only as a reference: `env:NAME` or `file:PATH`."""

import os
from pathlib import Path

from listener.errors import ConfigError

PATTERN = r"^(env|file):\S.*$"


def reveal(reference: str) -> str:
    """The secret behind a reference. Raises ConfigError where it is not set, empty or unreadable."""
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = os.environ.get(name, "")
        if not value:
            raise ConfigError(f"the environment variable {name} is not set", path=reference)
        return value
    if kind == "file":
        try:
            value = Path(name).expanduser().read_text("utf8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the secret's file: {error}", path=reference) from error
        if not value:
            raise ConfigError("the secret's file is empty", path=reference)
        return value
    raise ConfigError("a secret is written as env:NAME or file:PATH", path="secret")

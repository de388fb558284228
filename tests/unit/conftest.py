"""What the tests of the command line share."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import Cli


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """The command line over an empty store."""
    for name in ("LISTENER_CONFIG", "LISTENER_DEBUG", "LISTENER_LOG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Cli(tmp_path, capsys)
    root.handlers[:], root.level = handlers, level  # `main` sets up logging for its process

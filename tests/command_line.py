"""The command line as tests call it: in this process, or as a process of its own that can be killed."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from listener.cli import main

SETTINGS = """\
[classifier]
name = "rule"

[serve]
port = 0
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What one call said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as one JSON document."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Its output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


class Cli:
    """`listener` over a store of its own in a temporary folder."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capture = folder, capture
        self.config = folder / "listener.toml"
        self.settings()

    def settings(self, more: str = "") -> None:
        """Write the settings, with this behind them."""
        self.config.write_text(SETTINGS + more, "utf8")

    def __call__(self, *arguments: str) -> Result:
        """Run in this process."""
        self._capture.readouterr()
        code = main(["--config", str(self.config), *arguments])
        return Result(code, *self._capture.readouterr())

    def done(self, *arguments: str) -> Result:
        """Run in this process, and see it succeed."""
        result = self(*arguments)
        assert result.code == 0, result.err
        return result

    def process(self, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        """Start as a process of its own."""
        command = [sys.executable, "-m", "listener.cli", "--config", str(self.config), *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(command, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}, **pipes)

    def file(self, name: str, *rows: dict[str, Any] | str) -> str:
        """Write a file of JSON lines; gives its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        path.write_text("".join(f"{line}\n" for line in lines), "utf8")
        return str(path)

"""`listener config` and `listener version`."""

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from listener.cli import DONE, WRONG, settings_of
from listener.cli_output import note, say, say_json


def config(args: argparse.Namespace) -> int:
    """Check, show or explain the settings; the action defaults to `check`."""
    return {None: _check, "check": _check, "example": _example, "show": _show}[args.action](args)


def _check(args: argparse.Namespace) -> int:
    from listener.settings import find
    from listener.settings_check import Warned, check

    path = find(args.config)
    problems = check(path)
    errors = [problem for problem in problems if not isinstance(problem, Warned)]
    if getattr(args, "json", False):
        plain = [
            {
                "level": "warning" if isinstance(problem, Warned) else "error", "path": problem.path,
                "message": problem.message, "allowed": list(problem.allowed), "line": problem.line,
            }
            for problem in problems
        ]  # fmt: skip
        say_json({"file": str(path), "valid": not errors, "problems": plain})
        return WRONG if errors else DONE
    for problem in problems:
        note(f"{path}: {problem}")
    if errors:
        note(f"{path}: {len(errors)} {'error' if len(errors) == 1 else 'errors'}")
        return WRONG
    say(f"{path}: valid" + (f", {len(problems)} to look at" if problems else ""))
    return DONE


def _example(args: argparse.Namespace) -> int:
    from listener.settings_text import example

    sys.stdout.write(example())
    return DONE


def _show(args: argparse.Namespace) -> int:
    from listener.settings_text import toml, toml_key

    settings = settings_of(args)
    shown: dict[str, Any] = _masked(settings.model_dump(mode="json", exclude_none=True))
    if getattr(args, "json", False):
        say_json(shown)
        return DONE
    for key, value in shown.items():
        if not isinstance(value, Mapping):
            say(f"{toml_key(key)} = {toml(value)}")
    for key, value in shown.items():
        if isinstance(value, Mapping):
            nested = bool(value) and all(isinstance(item, Mapping) for item in value.values())
            for name, inner in value.items() if nested else [("", value)]:
                say(f"\n[{key}.{toml_key(name)}]" if name else f"\n[{key}]")
                for inner_key, item in inner.items():
                    say(f"{toml_key(inner_key)} = {toml(item)}")
    return DONE


def _masked(value: Any) -> Any:
    """The same without the credentials that an address may carry; secrets are references already."""
    if isinstance(value, Mapping):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"(?<=://)[^/@\s]+@", "***@", value)
    return value


def version(args: argparse.Namespace) -> int:
    """Print the versions of program, model and schema; loads neither model nor store."""
    from importlib.metadata import version as installed

    from index.embedded.schema import VERSION as SCHEMA

    found = {
        "listener": installed("listener"), "model": _model(), "schema": SCHEMA,
        "python": ".".join(str(part) for part in sys.version_info[:3]),
    }  # fmt: skip
    if getattr(args, "json", False):
        say_json(found)
    else:
        for name, value in found.items():
            say(f"{name} {value if value is not None else 'not installed'}")
    return DONE


def _model() -> str | None:
    """Name and version of the shipped model, from its manifest alone."""
    import nlp

    path = Path(nlp.__file__).parent / "models" / "listener-e5" / "manifest.json"
    try:
        held = json.loads(path.read_text("utf8"))
        return f"{held['name']}@{held['version']}"
    except (OSError, ValueError, KeyError, TypeError):
        return None

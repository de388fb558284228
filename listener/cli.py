"""The command line `listener`: one table of commands, loaded when called, and what its errors look like."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from listener.cli_output import caret, note
from listener.errors import ConfigError, InputError, ListenerError, QueryError

if TYPE_CHECKING:
    from listener.settings import Settings

COMMANDS = {
    "init": "listener.cli_ingest:init",
    "run": "listener.cli_service:run",
    "serve": "listener.cli_service:serve",
    "import": "listener.cli_import:import_files",
    "analyze": "listener.cli_analyze:analyze",
    "reanalyze": "listener.cli_ingest:reanalyze",
    "search": "listener.cli_search:search",
    "show": "listener.cli_read:show",
    "journey": "listener.cli_read:journey",
    "sources": "listener.cli_sources:sources",
    "subscriptions": "listener.cli_manage:subscriptions",
    "alerts": "listener.cli_manage:alerts",
    "erase": "listener.cli_store:erase",
    "expire": "listener.cli_store:expire",
    "reindex": "listener.cli_store:reindex",
    "backup": "listener.cli_store:backup",
    "doctor": "listener.cli_store:doctor",
    "config": "listener.cli_config:config",
    "version": "listener.cli_config:version",
}
DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 128 + signal.SIGINT
_FIX_WHAT_WAS_GIVEN = (ConfigError, QueryError, InputError)

Command = Callable[[argparse.Namespace], int]


def settings_of(args: argparse.Namespace) -> "Settings":
    """The settings of this call. Raises ConfigError."""
    from listener.settings import find, load

    return load(find(args.config))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code: 0 done, 1 failed, 2 wrong usage, settings, query or file, 130 Ctrl-C."""
    from listener.cli_parser import build, dashed

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a letter that the terminal cannot show is no reason to end
            stream.reconfigure(errors="backslashreplace")
    try:
        args = build().parse_args(dashed(list(sys.argv[1:] if argv is None else argv)))
    except SystemExit as error:  # argparse has said what is wrong, or has printed the help
        return error.code if isinstance(error.code, int) else WRONG
    _log(args.verbose)
    try:
        code = _command(args.command)(args)
        sys.stdout.flush()
        return code
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except BrokenPipeError:  # who read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if os.environ.get("LISTENER_DEBUG"):
            raise
        return _explained(error, args)


def _command(name: str) -> Command:
    module, _, function = COMMANDS[name].partition(":")
    found: Command = getattr(import_module(module), function)
    return found


def _explained(error: Exception, args: argparse.Namespace) -> int:
    """Say on stderr what is wrong, without a traceback; gives the exit code."""
    if isinstance(error, QueryError) and error.column is not None and isinstance(getattr(args, "query", None), str):
        note(caret(args.query, error.column))
    if isinstance(error, ConfigError):
        for problem in error.problems:
            note(f"listener: {problem}")
    elif isinstance(error, ListenerError):
        note(f"listener: {error}")
    elif isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        note(f"listener: {where}{error.strerror or error}")
    else:
        note(f"listener: unexpected {type(error).__name__}: {error} (LISTENER_DEBUG=1 shows where; please report it)")
    return WRONG if isinstance(error, _FIX_WHAT_WAS_GIVEN) else FAILED


def _log(verbose: bool) -> None:
    level = "INFO" if verbose else os.environ.get("LISTENER_LOG", "WARNING").upper()
    known = logging.getLevelNamesMapping()
    logging.basicConfig(
        level=known.get(level, logging.WARNING), stream=sys.stderr, force=True,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())

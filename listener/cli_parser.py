"""The grammar of the command line: every command, its arguments and options. Imports nothing heavy."""

import argparse
from typing import Any

Commands = Any  # argparse's subparsers action, whose class is private

EXIT_CODES = "exit codes: 0 done, 1 a failure while working, 2 wrong usage, settings, query or file, 130 Ctrl-C"


def text_argument(value: str) -> str:
    """A value that may begin with a dash (see `dashed`)."""
    return value.strip()


def positive(value: str) -> int:
    """A whole number from 1 on."""
    number = int(value)
    if number < 1:
        raise ValueError(value)
    return number


positive.__name__ = "whole number from 1 on"  # argparse names it in its error


def dashed(arguments: list[str]) -> list[str]:
    """The arguments, with a blank before those that begin with one dash: `-promo` is a query, `-date` a sort."""
    found: list[str] = []
    for place, argument in enumerate(arguments):
        if argument == "--":
            return [*found, *arguments[place:]]
        single = argument.startswith("-") and not argument.startswith("--") and argument not in ("-", "-h", "-v")
        found.append(f" {argument}" if single else argument)
    return found


def build() -> argparse.ArgumentParser:
    """The whole grammar."""
    parser = argparse.ArgumentParser(
        prog="listener", epilog=EXIT_CODES, allow_abbrev=False,
        description="Social listening and review sentiment: clause by clause, per step of the customer journey.",
    )  # fmt: skip
    parser.add_argument("--config", metavar="FILE", help="settings; else LISTENER_CONFIG, else ./listener.toml")
    parser.add_argument("-v", "--verbose", action="store_true", help="log more, on stderr (LISTENER_LOG sets a level)")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (_service, _ingest, _read, _manage, _store):
        add(commands)
    return parser


def _add(commands: Commands, name: str, help: str, *, json: bool = False, about: str = "") -> argparse.ArgumentParser:
    """A command that takes the options every command takes, after its name too."""
    given = argparse.SUPPRESS  # so that a default here does not undo what stood before the command
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=f"{help[0].upper()}{help[1:]}. {about}".rstrip(), allow_abbrev=False
    )
    command.add_argument("--config", metavar="FILE", default=given, help=argparse.SUPPRESS)
    command.add_argument("-v", "--verbose", action="store_true", default=given, help=argparse.SUPPRESS)
    if json:
        # SUPPRESS, so that `sources --json list` keeps what stood before `list`; the handlers ask with getattr.
        command.add_argument("--json", action="store_true", default=given, help="one JSON document on stdout")
    return command


def _actions(command: argparse.ArgumentParser) -> Commands:
    return command.add_subparsers(dest="action", metavar="ACTION")


def _query(command: argparse.ArgumentParser, help: str, *, optional: bool = False) -> None:
    command.add_argument("query", metavar="QUERY", type=text_argument, nargs="?" if optional else None, help=help)


def _service(commands: Commands) -> None:
    init = _add(commands, "init", "start a new store: settings, database, two ready-made subscriptions")
    init.add_argument("dir", metavar="DIR", help="folder that gets listener.toml and listener.db")
    _add(commands, "run", "collect from all sources, analyse, watch and deliver alerts, until stopped")
    _add(commands, "serve", "the same as run, and the HTTP server beside it")


def _ingest(commands: Commands) -> None:
    command = _add(
        commands, "import", "store and analyse files of mentions: CSV, TSV, JSON lines, .xlsx, Parquet", json=True,
        about="Ended at any moment and run again, it goes on; nothing is stored twice. Beside a running service the "
        "service analyses the rows, and the progress is shown.",
    )  # fmt: skip
    command.add_argument("files", metavar="FILE", nargs="+", help="files to read; - is standard input (JSON lines)")
    command.add_argument(
        "--source", metavar="NAME", type=text_argument,
        help="the source they belong to: its settings are used, and equal ids are then one mention",
    )  # fmt: skip
    command.add_argument("--no-analysis", action="store_true", help="store only; `listener reanalyze` does the rest")
    command.add_argument("--live", action="store_true", help="alert on old mentions too, as if they had just arrived")
    command.add_argument("--dry-run", action="store_true", help="show how the files would be read, store nothing")
    command.add_argument("--no-wait", action="store_true", help="do not wait for a running service to analyse them")

    analyze = _add(
        commands, "analyze", "read texts of JSON lines and write what the classifier says of each, storing nothing",
        about='In: {"id", "text"[, "language"][, "kind"]} a line; out: one line each, in order. A line that cannot be '
        'read gives {"id" or "line", "error"} in its place. Needs no settings.',
    )  # fmt: skip
    analyze.add_argument("file", metavar="FILE", help="JSON lines; - is standard input")
    analyze.add_argument("--out", metavar="FILE", default="-", help="where to write; default: standard output")
    analyze.add_argument("--explain", action="store_true", help="add the spans that made the labels")
    analyze.add_argument("--vector", action="store_true", help="add the vector: 384 floats of length 1")
    analyze.add_argument("--classifier", metavar="NAME", help="another classifier than the settings name")

    again = _add(commands, "reanalyze", "analyse what is stored again: after a new model, or what never was", json=True)
    _query(again, "which mentions; default: all. `is:unanalysed` finds those without an analysis", optional=True)
    again.add_argument("--alerts", action="store_true", help="mentions that match a subscription now may alert")
    again.add_argument("--restart", action="store_true", help="begin anew, rather than where an ended run stopped")


def _read(commands: Commands) -> None:
    search = _add(commands, "search", "find mentions; `*` finds everything", json=True)
    _query(search, 'such as: segments:(step:reception AND sentiment:negative) "colis perdu" -promo')
    search.add_argument(
        "--mode", choices=("text", "meaning", "hybrid"), default="text", help="by words, by meaning, or by both"
    )
    sorts = tuple(sign + name for name in ("date", "received", "rating", "followers") for sign in ("", "-"))
    search.add_argument(
        "--sort", choices=(*sorts, "relevance"), default="-date", type=text_argument, metavar="FIELD",
        help="date, received, rating, followers, with - for falling, or relevance; default: -date",
    )  # fmt: skip
    search.add_argument("--size", type=positive, default=20, metavar="N", help="mentions a page, to 1000; default: 20")
    search.add_argument("--page", metavar="TOKEN", help="the page that `next` of the one before named")
    search.add_argument("--all", action="store_true", help="everything found, not one page")
    search.add_argument("--format", choices=("csv", "jsonl"), help="rows for other programs")
    search.add_argument(
        "--per", choices=("mention", "segment"), default="mention", help="what a row of --format is; default: mention"
    )

    show = _add(commands, "show", "one mention: its analysis, versions, case and alerts", json=True)
    show.add_argument("id", metavar="ID", help="the id that search prints")

    journey = _add(commands, "journey", "how each step of the customer journey is lived", json=True)
    _query(journey, "which mentions; default: those of our brand, where the settings name one", optional=True)


def _manage(commands: Commands) -> None:
    sources = _add(commands, "sources", "the sources: how they fare, gaps, dead letters", json=True)
    actions = _actions(sources)
    _add(actions, "list", "all sources", json=True)
    show = _add(actions, "show", "one source", json=True)
    show.add_argument("name", metavar="NAME")
    gaps = _add(actions, "gaps", "times in which a source may have missed mentions", json=True)
    gaps.add_argument("name", metavar="NAME", nargs="?", help="one source; default: all")
    letters = _add(actions, "dead-letters", "records that could not be read, and why", json=True)
    letters.add_argument("name", metavar="NAME", nargs="?", help="one source; default: all")
    letters.add_argument("--raw", metavar="ID", type=positive, help="write the raw bytes of one to stdout")
    letters.add_argument("--all", action="store_true", help="those replayed too")
    letters.add_argument("--limit", type=positive, default=100, metavar="N", help="how many; default: 100")
    replay = _add(actions, "replay", "read dead letters again, with the settings of today", json=True)
    replay.add_argument("ids", metavar="ID", type=positive, nargs="*", help="which; default: all")
    reset = _add(actions, "reset", "forget how far a source was read, and lift its quarantine; mentions stay")
    reset.add_argument("name", metavar="NAME")

    subscriptions = _add(commands, "subscriptions", "what is watched, and where alerts of it go", json=True)
    actions = _actions(subscriptions)
    _add(actions, "list", "all subscriptions", json=True)
    _subscription_add(actions)
    verbs = {"remove": "remove one; its alerts stay", "enable": "watch again", "disable": "watch no more"}
    for name, help in verbs.items():
        _add(actions, name, help).add_argument("name", metavar="NAME")
    test = _add(actions, "test", "how often a query would have fired in the last 30 days", json=True)
    _query(test, "the query, or the name of a subscription")
    _cooldown(test)

    alerts = _add(commands, "alerts", "what fired, and what was delivered", json=True)
    actions = _actions(alerts)
    listed = _add(actions, "list", "alerts, newest first", json=True)
    listed.add_argument("name", metavar="SUBSCRIPTION", nargs="?", help="of one subscription; default: all")
    listed.add_argument("--limit", type=positive, default=20, metavar="N", help="how many; default: 20")
    show = _add(actions, "show", "one alert with its mentions and deliveries", json=True)
    show.add_argument("id", metavar="ID")
    deliveries = _add(actions, "deliveries", "attempts to deliver, newest first", json=True)
    deliveries.add_argument("id", metavar="ALERT", nargs="?", help="of one alert; default: all")
    deliveries.add_argument("--limit", type=positive, default=50, metavar="N", help="how many; default: 50")
    tried = _add(actions, "test", "send a trial alert to a destination, now")
    tried.add_argument("destination", metavar="DESTINATION", help="its name in the settings")


def _subscription_add(actions: Commands) -> None:
    add = _add(actions, "add", "watch a query, or a ready-made one with --preset")
    add.add_argument("name", metavar="NAME", nargs="?", type=text_argument, help="its name; default: the preset's")
    _query(add, "the query whose matches fire", optional=True)
    add.add_argument("--preset", metavar="KEY", help="negative-review or influencer-mention (the first word will do)")
    add.add_argument("--to", metavar="DEST", action="append", help="a destination of the settings; default: console")
    _cooldown(add)


def _cooldown(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--cooldown", metavar="TIME", help="gather what matches so long after an alert (20m, 4h); default: none"
    )
    command.add_argument(
        "--group-by", metavar="FIELD", help="one cool-down per brand, channel, product, place, author, source, ..."
    )


def _store(commands: Commands) -> None:
    erase = _add(commands, "erase", "remove an author and all they wrote, everywhere", json=True)
    erase.add_argument("author", metavar="AUTHOR", type=text_argument, help="handle, id, or pseudonym")
    erase.add_argument("--yes", action="store_true", help="do not ask")
    expire = _add(commands, "expire", "remove mentions that may no longer be kept", json=True)
    expire.add_argument(
        "--before", metavar="DATE", type=text_argument,
        help="remove what was published before; default: by `terms.max_retention` of each source",
    )  # fmt: skip
    expire.add_argument("--yes", action="store_true", help="do not ask")
    _add(commands, "reindex", "build the search index anew; resumable", json=True)
    backup = _add(commands, "backup", "copy the whole store while it runs", json=True)
    backup.add_argument("file", metavar="FILE", help="a new file")
    _add(commands, "doctor", "look for what is wrong: settings, store, sources, deliveries", json=True)

    config = _add(commands, "config", "the settings", json=True)
    actions = _actions(config)
    for name, help in (
        ("check", "every problem of the settings file"),
        ("example", "a commented file with every setting"),
        ("show", "the settings in use, defaults filled in"),
    ):
        _add(actions, name, help, json=name != "example")
    _add(commands, "version", "version of the program, the model and the schema", json=True)

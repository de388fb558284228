"""The page docs/cli.md, made from the grammar: `python -m listener.cli_docs > docs/cli.md`."""

import argparse
import sys
from collections.abc import Iterator

from listener.cli_parser import build

_HEAD = """\
# Command line

This page is generated: `python -m listener.cli_docs > docs/cli.md`.

- **Settings**: every command takes `--config FILE`, before or after its name; else the file that the environment
  variable `LISTENER_CONFIG` names, else `./listener.toml`. `analyze`, `version`, `init` and `config example` need none.
- **Exit codes**: 0 done; 1 a failure while working, said in one line on stderr; 2 wrong usage, settings, query or
  file (something that was given must be mended); 130 ended by Ctrl-C. `run` and `serve` end with 0 on SIGTERM. A second
  Ctrl-C or SIGTERM ends at once; nothing that was stored is lost.
- **Output**: results on stdout; notes, progress bars (on a terminal only) and logs on stderr. `--json` gives one JSON
  document on stdout, in a shape that only grows. Colours only on a terminal, none where `NO_COLOR` is set.
- **Logs**: warnings; `--verbose` more; `LISTENER_LOG=DEBUG` sets a level. `LISTENER_DEBUG=1` shows the traceback of a
  failure.
- A query may begin with a minus: `listener search -promo`. `--` ends the options.
"""

_CONTRACTS = {
    "search": """\
`--json` prints `{"total", "mentions": [{"id", "native_id", "text", "published_at", ..., "segments"}], "next"}`; `next`
is the token of the following page, null on the last. `--format jsonl` prints one of these mentions a line; with
`--per segment` each line has one `segment` in the place of `segments`. `--format csv` has a head line and is UTF-8; a
text that a spreadsheet would take for a formula gets a `'` in front. `--all` streams everything, newest first unless
`--sort` says otherwise; relevance, meaning and hybrid order end after the first 1,000.

`--mode meaning` and `hybrid` take the words of the query (not its fields) as what is meant; fields filter.
""",
    "analyze": """\
In: `{"id", "text"[, "language"][, "kind"]}` a line, UTF-8, `.gz` too. `kind` is review, post, comment, survey or
message; social, support, mail, email and chat are understood. Out: one line per line, in order:

    {"id", "language", "sentiment": {"label", "scores"}, "emotions": {name: score}, "intents": {name: score}, "stars",
     "segments": [{"start", "end", "text", "step", "step_score", "sentiment": {"label", "scores"}, "emotions",
     "intents", "effort", "uncertain"}], "uncertain", "model"}

`id` is as given (text or number); offsets are Python string indices with `text == input[start:end]`; segments are
ordered and disjoint. A score of 0.5 is the decision. `stars` is 1 to 5 or null, `effort` 1 to 5 or null. `--explain`
adds `explanation: [{"label", "start", "end", "weight"}]` to each segment and to the whole; `--vector` adds `vector`,
384 floats of length 1 (null for a text without words). A line that cannot be read (an empty one too) gives
`{"id", "error"}`, or `{"line", "error"}` with its number where it has no usable id.
""",
    "import": """\
Without `--source` each file is a world of its own: equal ids in two files are two mentions. With it they are one, and
the settings of that source are used: all of them where it is a `file` source, else those that every source has (brand,
channel, own accounts, terms). The mentions stand under `source:NAME`, without it under `source:"import:FILENAME"`.
JSON lines under the field names of a mention need no mapping; `--dry-run` shows what would be read as what.

Where a read was ended is kept with the store under `import:` and the path of the file: run again it goes on there, a
finished file is read again only where it grew or changed, and a moved file is a new one unless `--source` is given.
""",
    "reanalyze": """\
Goes by id, and keeps its place per query and model: ended and run again, it goes on. Writes no alerts unless `--alerts`
is given. A mention that cannot be analysed keeps the analysis it had.
""",
    "subscriptions": """\
`test` walks the rules over the last 30 days as if every mention had arrived when it was published: own accounts and
unsure labels are left out, cool-down and grouping apply.
""",
    "sources": """\
`replay` reads a dead letter with the settings of today. A push goes back into the inbox of its source; a row of a CSV
or JSON lines file is read by the columns the file has now. What is stored waits for its analysis by the service or by
the next `import`. Records of other connectors come again after `reset`.
""",
    "doctor": """\
Exit code 1 where something is wrong: settings or secrets, a damaged store, a search index of another release, a source
that waits for a person, an open gap, deliveries given up. Dead letters and mentions without analysis are notes.
""",
    "erase": """\
Where the settings name a key for pseudonyms, the author's pseudonym is erased too.
""",
}


def reference() -> str:
    """The page docs/cli.md."""
    parts = [_HEAD]
    for name, command in _subcommands(build()):
        parts += _section(name, command, 2)
    return "\n".join(parts)


def _subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _section(name: str, command: argparse.ArgumentParser, level: int) -> Iterator[str]:
    actions = list(_subcommands(command))
    usage = " ".join(["listener", name, *_usage(command), *(["ACTION"] if actions else [])])
    yield f"{'#' * level} listener {name}\n"
    yield f"{command.description}\n"
    yield f"    {usage}\n"
    rows = [(_written(action), action.help or "") for action in _own(command)]
    if rows:
        yield "| argument | meaning |\n|---|---|"
        yield "\n".join("| `{}` | {} |".format(*(cell.replace("|", "\\|") for cell in row)) for row in rows) + "\n"
    if name in _CONTRACTS:
        yield _CONTRACTS[name]
    for inner, action in actions:
        yield from _section(f"{name} {inner}", action, level + 1)


def _own(command: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Its arguments, without those that every command takes."""
    for action in command._actions:
        if action.help != argparse.SUPPRESS and not isinstance(
            action, argparse._SubParsersAction | argparse._HelpAction
        ):
            yield action


def _usage(command: argparse.ArgumentParser) -> Iterator[str]:
    for action in _own(command):
        if action.option_strings:
            yield f"[{_written(action)}]"
        else:
            name = str(action.metavar or action.dest)
            yield {"?": f"[{name}]", "*": f"[{name}...]", "+": f"{name}..."}.get(str(action.nargs), name)


def _written(action: argparse.Action) -> str:
    """An option with its value, or an argument's name."""
    if not action.option_strings:
        return str(action.metavar or action.dest)
    name = action.option_strings[-1]
    if action.nargs == 0:
        return name
    value = str(action.metavar) if action.metavar else "|".join(map(str, action.choices or ())) or action.dest.upper()
    return f"{name} {value}"


if __name__ == "__main__":
    sys.stdout.write(reference())

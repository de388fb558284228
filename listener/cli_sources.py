"""`listener sources`: how they fare, gaps, dead letters, replay, reset."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from index.contract import DeadLetter, SourceState
from listener.app import App, opened
from listener.cli import DONE, FAILED, settings_of
from listener.cli_output import local_time, note, printable, say, say_json, short, table
from listener.cli_replay import Replayed, replay
from listener.errors import InputError, NotFoundError
from listener.model import Gap, iso

_MOST = 100_000
Action = Callable[[argparse.Namespace, App], Awaitable[int]]


def sources(args: argparse.Namespace) -> int:
    """Show sources and their records; the action defaults to `list`."""
    actions: Mapping[str | None, Action] = {
        None: _list, "list": _list, "show": _show, "gaps": _gaps, "dead-letters": _dead_letters, "replay": _replay,
        "reset": _reset,
    }  # fmt: skip
    return asyncio.run(_with_app(actions[args.action], args))


async def _with_app(action: Action, args: argparse.Namespace) -> int:
    async with opened(settings_of(args)) as app:
        return await action(args, app)


# --- looking --------------------------------------------------------------------------------------


async def _list(args: argparse.Namespace, app: App) -> int:
    states = await app.engine.source_states()
    names = list(dict.fromkeys([*app.settings.sources, *states]))
    told = [_source_to_json(app, name, states.get(name, SourceState(name))) for name in names]
    if getattr(args, "json", False):
        say_json({"sources": told})
        return DONE
    zone = app.settings.timezone
    rows = []
    for name, row in zip(names, told, strict=True):
        state = states.get(name, SourceState(name))
        rows.append((
            name, row["connector"] or "-", row["state"], f"{state.mentions:,}", f"{state.rejects:,}",
            local_time(state.newest_at, zone), local_time(state.last_success_at, zone), short(state.detail, 60),
        ))  # fmt: skip
    heads = ("name", "connector", "state", "mentions", "rejected", "newest", "last success", "detail")
    table(heads, rows, right=(3, 4))
    return DONE


def _source_to_json(app: App, name: str, state: SourceState) -> dict[str, Any]:
    config = app.settings.sources.get(name)
    return {
        "name": name, "connector": config.connector if config else None,
        "state": state.state if config is None or config.enabled else "disabled", "detail": state.detail,
        "mentions": state.mentions, "rejects": state.rejects,
        "newest_at": iso(state.newest_at) if state.newest_at else None,
        "last_success_at": iso(state.last_success_at) if state.last_success_at else None,
        "next_try_at": iso(state.next_try_at) if state.next_try_at else None,
    }  # fmt: skip


async def _require(app: App, name: str) -> SourceState:
    states = await app.engine.source_states()
    if name not in states and name not in app.settings.sources:
        raise NotFoundError(f"there is no source {name!r}: `listener sources` lists them")
    return states.get(name, SourceState(name))


async def _show(args: argparse.Namespace, app: App) -> int:
    state = await _require(app, args.name)
    gaps = await app.engine.gaps(args.name)
    letters = len(await app.engine.dead_letters(args.name, _MOST))
    config = app.settings.sources.get(args.name)
    told = _source_to_json(app, args.name, state)
    if getattr(args, "json", False):
        settings = config.model_dump(mode="json", exclude_none=True) if config else None
        say_json({**told, "gaps": [_gap_to_json(gap) for gap in gaps], "dead_letters": letters, "settings": settings})
        return DONE
    for key, value in told.items():
        say(f"{key}: {printable(str(value)) if value not in (None, '') else '-'}")
    say(f"dead letters: {letters}")
    _print_gaps(gaps, app)
    return DONE


async def _gaps(args: argparse.Namespace, app: App) -> int:
    gaps = await app.engine.gaps(args.name)
    if getattr(args, "json", False):
        say_json({"gaps": [_gap_to_json(gap) for gap in gaps]})
    else:
        _print_gaps(gaps, app)
    return DONE


def _gap_to_json(gap: Gap) -> dict[str, Any]:
    return {
        "id": gap.id, "source": gap.source, "start": iso(gap.start), "end": iso(gap.end) if gap.end else None,
        "reason": gap.reason,
    }  # fmt: skip


def _print_gaps(gaps: list[Gap], app: App) -> None:
    zone = app.settings.timezone
    rows = [
        (
            gap.source, local_time(gap.start, zone), local_time(gap.end, zone) if gap.end else "open",
            short(gap.reason, 90),
        )
        for gap in gaps
    ]  # fmt: skip
    table(("source", "from", "to", "reason"), rows)


async def _dead_letters(args: argparse.Namespace, app: App) -> int:
    if args.raw is not None:
        letter = await app.engine.dead_letter(args.raw)
        sys.stdout.flush()
        sys.stdout.buffer.write(letter.raw)
        sys.stdout.buffer.flush()
        return DONE
    letters = await app.engine.dead_letters(args.name, args.limit, all=args.all)
    if getattr(args, "json", False):
        say_json({"dead_letters": [_letter_to_json(letter) for letter in letters]})
        return DONE
    zone = app.settings.timezone
    rows = [
        (
            letter.id, letter.source, local_time(letter.at, zone), letter.where, short(letter.reason, 60),
            "replayed" if letter.replayed_at else short(letter.raw.decode("utf8", "replace"), 40),
        )
        for letter in letters
    ]  # fmt: skip
    table(("id", "source", "at", "where", "reason", "bytes"), rows, right=(0,))
    return DONE


def _letter_to_json(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id, "source": letter.source, "at": iso(letter.at), "where": letter.where,
        "reason": letter.reason, "raw": letter.raw.decode("utf8", "backslashreplace"),
        "replayed_at": iso(letter.replayed_at) if letter.replayed_at else None,
    }  # fmt: skip


# --- acting ---------------------------------------------------------------------------------------


async def _replay(args: argparse.Namespace, app: App) -> int:
    letters = await app.engine.dead_letters(limit=_MOST)
    missing = set(args.ids) - {letter.id for letter in letters}
    if missing:
        raise InputError(f"no dead letter waits under {', '.join(map(str, sorted(missing)))}")
    chosen = [letter for letter in letters if not args.ids or letter.id in args.ids]
    results = await replay(app, chosen)
    stored = sum(result.stored for result in results)
    if getattr(args, "json", False):
        say_json({"replayed": stored, "results": [_result_to_json(result) for result in results]})
        return DONE if stored == len(results) else FAILED
    for result in results:
        if not result.stored:
            note(f"{result.letter.id} ({printable(result.letter.where)}): {short(result.reason, 300)}")
    say(f"{stored:,} of {len(results):,} dead letters were read and stored")
    return DONE if stored == len(results) else FAILED


def _result_to_json(result: Replayed) -> dict[str, Any]:
    return {
        "id": result.letter.id,
        "source": result.letter.source,
        "stored": result.stored,
        "reason": result.reason or None,
    }


async def _reset(args: argparse.Namespace, app: App) -> int:
    await _require(app, args.name)
    await app.engine.reset_source(args.name)
    say(f"{printable(args.name)}: will be read from its beginning; what is stored is not stored twice")
    return DONE

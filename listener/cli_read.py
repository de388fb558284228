"""`listener show` and `listener journey`."""

import argparse
import asyncio
from dataclasses import asdict
from typing import Any

from index.contract import Case
from listener.app import opened
from listener.cli import DONE, settings_of
from listener.cli_output import local_time, paint, printable, say, say_json, short, table
from listener.cli_search import clauses, headline
from listener.model import Record, iso, record_to_json
from listener.settings import Settings

_ALERTS = 1000  # the newest, among which those of a mention are looked for


# --- show -----------------------------------------------------------------------------------------


def show(args: argparse.Namespace) -> int:
    """Print one mention with all that is known of it."""
    return asyncio.run(_show(args, settings_of(args)))


async def _show(args: argparse.Namespace, settings: Settings) -> int:
    async with opened(settings) as app:
        record = await app.engine.get(args.id)
        versions = await app.engine.versions(args.id)
        case = await app.engine.case(args.id)
        alerts = await app.engine.alerts_of(args.id)
    if getattr(args, "json", False):
        say_json({
            **record_to_json(record), "versions": [record_to_json(version) for version in versions],
            "case": case_to_json(case) if case else None,
            "alerts": [
                {"id": alert.id, "subscription": alert.subscription, "created_at": iso(alert.created_at)}
                for alert in alerts
            ],
        })  # fmt: skip
        return DONE
    _print_mention(record, settings)
    for version in versions:
        say(f"\nearlier version, {local_time(version.mention.published_at, settings.timezone)}")
        say(f"  {short(version.mention.text, 400)}")
    if case:
        owner, due = case.owner or "nobody", local_time(case.due_at, settings.timezone)
        say(f"\ncase: {case.state}, owner {printable(owner)}, due {due}")
    for alert in alerts:
        say(f"alert {alert.id}: {alert.subscription}, {local_time(alert.created_at, settings.timezone)}")
    return DONE


def case_to_json(case: Case) -> dict[str, Any]:
    """A case as JSON: times in ISO 8601, None where there is none."""
    plain = asdict(case)
    times = {name: iso(at) if (at := getattr(case, name)) else None for name in ("opened_at", "due_at", "replied_at")}
    return {**plain, **times, "data": dict(case.data)}


def _print_mention(record: Record, settings: Settings) -> None:
    mention, analysis = record.mention, record.analysis
    say(headline(mention, settings))
    say(f"id {mention.id}  source {printable(mention.source)}  native id {printable(mention.native_id)}")
    if mention.url:
        say(printable(mention.url))
    if mention.title:
        say("\n" + paint(printable(mention.title), "bold"))
    say("\n" + "\n".join(printable(line) for line in mention.text.splitlines()))
    for reply in mention.replies:
        say(f"\nreply of {local_time(reply.at, settings.timezone)}: {printable(reply.text)}")
    if analysis:
        stars = f", {analysis.stars:.1f} stars" if analysis.stars is not None else ""
        unsure = ", uncertain" if analysis.uncertain else ""
        say(f"\n{analysis.sentiment.label}{stars}, {analysis.language}{unsure} ({analysis.model})")
    for line in clauses(record):
        say(f"  {line}")


# --- journey --------------------------------------------------------------------------------------


def journey(args: argparse.Namespace) -> int:
    """Print the steps of the journey as lived."""
    return asyncio.run(_journey(args, settings_of(args)))


async def _journey(args: argparse.Namespace, settings: Settings) -> int:
    from listener.journey import NAMES, steps

    query = args.query if args.query is not None else _our_brand(settings)
    async with opened(settings) as app:
        views = steps(await app.engine.journey(query, app.now(), settings.timezone))
    if getattr(args, "json", False):
        say_json({"query": query, "steps": [asdict(view) for view in views]})
        return DONE
    say(f"mentions: {printable(query)}")
    rows = []
    for view in views:
        interval = f"{_signed(view.low)} to {_signed(view.high)}" if view.low is not None else "-"
        rows.append((
            NAMES["en"].get(view.step, view.step), view.phase or "-", f"{view.clauses:,}" + ("?" if view.few else ""),
            _signed(view.net), interval, view.zone or "-", view.top_emotion or "-",
            f"{view.effort:.1f} ({view.effort_n})" if view.effort is not None else "-",
            f"{view.nps:+.0f} ({view.nps_n})" if view.nps is not None else "-",
        ))  # fmt: skip
    heads = ("step", "phase", "clauses", "net", "95 %", "zone", "emotion", "effort (n)", "NPS (n)")
    table(heads, rows, right=(2, 3))
    say("net is positive minus negative clauses in percent of all; ? marks steps with few clauses.")
    say("Few complaints do not mean satisfaction. NPS is a registered trademark.")
    return DONE


def _our_brand(settings: Settings) -> str:
    if settings.brand is None:
        return "*"
    escaped = settings.brand.replace("\\", "\\\\").replace('"', '\\"')
    return f'brand:"{escaped}"'


def _signed(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:+.0f}"

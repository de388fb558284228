"""`listener subscriptions` and `listener alerts`."""

import argparse
import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from index.contract import Alert, Delivery, Subscription
from listener.alerts import check
from listener.app import App, opened
from listener.cli import DONE, settings_of
from listener.cli_output import local_time, note, printable, say, say_json, short, table
from listener.duration import format_duration, parse_duration
from listener.errors import ConfigError, InputError, NotFoundError, Problem
from listener.model import iso
from listener.presets import preset, presets
from listener.rehearsal import Rehearsal, rehearse
from listener.render import render
from listener.settings import Settings

_ALL_ALERTS = 100_000
Action = Callable[[argparse.Namespace, App], Awaitable[int]]


def subscriptions(args: argparse.Namespace) -> int:
    """List, add, remove, enable, disable or try subscriptions; the action defaults to `list`."""
    actions: Mapping[str | None, Action] = {
        None: _list, "list": _list, "add": _add, "remove": _remove, "enable": _enable, "disable": _enable,
        "test": _test,
    }  # fmt: skip
    return asyncio.run(_with_app(actions[args.action], args))


def alerts(args: argparse.Namespace) -> int:
    """List or show alerts and deliveries, or try a destination; the action defaults to `list`."""
    actions: Mapping[str | None, Action] = {
        None: _alerts, "list": _alerts, "show": _show_alert, "deliveries": _deliveries,
    }  # fmt: skip
    if args.action == "test":
        return asyncio.run(_try_destination(settings_of(args), args.destination))
    return asyncio.run(_with_app(actions[args.action], args))


async def _with_app(action: Action, args: argparse.Namespace) -> int:
    async with opened(settings_of(args)) as app:
        return await action(args, app)


# --- subscriptions --------------------------------------------------------------------------------


async def _list(args: argparse.Namespace, app: App) -> int:
    found = await app.engine.subscriptions()
    counts = {item.id: await app.engine.counts(item.id) for item in found}
    if getattr(args, "json", False):
        say_json({"subscriptions": [{**subscription_to_json(item), "counts": counts[item.id]} for item in found]})
        return DONE
    rows = [
        (
            item.id, "on" if item.enabled else "off", counts[item.id].get("fired", 0), ", ".join(item.destinations),
            _cooldown(item),
            short(item.query, 90),
        )
        for item in found
    ]  # fmt: skip
    table(("name", "state", "fired", "to", "cool-down", "query"), rows, right=(2,))
    return DONE


def _cooldown(item: Subscription) -> str:
    if not item.cooldown:
        return ""
    return format_duration(item.cooldown) + (f" per {item.group_by}" if item.group_by else "")


def subscription_to_json(item: Subscription) -> dict[str, Any]:
    """A subscription as JSON; the cool-down as it is written in settings."""
    return {
        "id": item.id, "name": item.name, "query": item.query, "condition": item.condition,
        "destinations": list(item.destinations), "cooldown": format_duration(item.cooldown) if item.cooldown else None,
        "group_by": item.group_by, "enabled": item.enabled, "created_at": iso(item.created_at),
    }  # fmt: skip


async def _add(args: argparse.Namespace, app: App) -> int:
    made = _made(args, app)
    check(made)
    for name in made.destinations:
        _require_destination(app.settings, name)
    if any(item.id == made.id for item in await app.engine.subscriptions()):
        raise InputError(f"there is a subscription {made.id} already: remove it first, or take another name")
    await app.engine.put_subscription(made)
    say(f"{made.id}: watching {printable(made.query)}")
    say(f"alerts go to {', '.join(made.destinations)}; `listener subscriptions test {made.id}` looks back 30 days")
    return DONE


def _made(args: argparse.Namespace, app: App) -> Subscription:
    """The subscription that the arguments describe."""
    to = tuple(dict.fromkeys(args.to or ("console",)))
    if args.preset is not None:
        if args.query is not None:
            raise InputError("--preset brings its own query: give one of them")
        key = next((item.key for item in presets() if item.key.split("-")[0] == args.preset), args.preset)
        base = preset(key).subscription(app.now(), brand=app.settings.brand, destinations=to)
        if args.name:
            base = replace(base, id=_id(args.name), name=args.name)
    elif args.name is None or args.query is None:
        raise InputError("give a name and a query, or --preset KEY")
    else:
        base = Subscription(_id(args.name), args.query, app.now(), name=args.name, destinations=to)
    return _with_cooldown(base, args)


def _with_cooldown(base: Subscription, args: argparse.Namespace) -> Subscription:
    if args.cooldown is not None:
        try:
            base = replace(base, cooldown=parse_duration(args.cooldown) if args.cooldown != "0" else timedelta(0))
        except ValueError as error:
            raise InputError(f"--cooldown: {error}") from error
    return replace(base, group_by=args.group_by) if args.group_by else base


def _id(name: str) -> str:
    found = re.sub(r"[^a-z0-9_]+", "-", name.casefold()).strip("-")[:64]
    if not found:
        raise InputError(f"{name!r} makes no name: use letters a to z and digits")
    return found


def _require_destination(settings: Settings, name: str) -> None:
    if name not in settings.destinations:
        known = tuple(settings.destinations)
        raise ConfigError(Problem("destinations", f"there is no destination {name!r} in the settings", name, known))


async def _remove(args: argparse.Namespace, app: App) -> int:
    await app.engine.delete_subscription(args.name)
    say(f"{args.name}: removed; its alerts stay")
    return DONE


async def _enable(args: argparse.Namespace, app: App) -> int:
    wanted = args.action == "enable"
    held = await _held(app, args.name)
    await app.engine.put_subscription(replace(held, enabled=wanted))
    say(f"{args.name}: {'watched' if wanted else 'no longer watched'}")
    return DONE


async def _held(app: App, name: str) -> Subscription:
    for item in await app.engine.subscriptions():
        if item.id == name:
            return item
    raise NotFoundError(f"there is no subscription {name!r}: `listener subscriptions` lists them")


async def _test(args: argparse.Namespace, app: App) -> int:
    found = {item.id: item for item in await app.engine.subscriptions()}
    tried = found.get(args.query) or Subscription("trial", args.query, app.now())
    tried = _with_cooldown(tried, args)
    check(tried)
    told = await rehearse(app.engine, tried, app.now(), app.settings.timezone)
    texts = [[(await app.engine.get(key)).mention for key in fired.mentions[:3]] for fired in told.latest]
    if getattr(args, "json", False):
        say_json(_rehearsal_to_json(told, tried))
        return DONE
    per_week = told.fired / ((told.until - told.since).days / 7)
    say(f"in the last 30 days it would have fired {told.fired:,} times, about {per_week:.1f} a week")
    say(f"{told.matches:,} mentions match; {told.uncertain:,} only by an unsure label, {told.own:,} are our own")
    table(("week of", "alerts"), [(day.isoformat(), n) for day, n in told.weeks], right=(1,))
    for fired, mentions in zip(told.latest, texts, strict=True):
        more = f" and {len(fired.mentions) - 1:,} more" if len(fired.mentions) > 1 else ""
        say(f"\n{local_time(fired.at, app.settings.timezone)}{more}")
        for mention in mentions:
            say(f"  {mention.channel}: {short(mention.text or mention.title or '', 100)}")
    return DONE


def _rehearsal_to_json(told: Rehearsal, tried: Subscription) -> dict[str, Any]:
    return {
        "query": tried.query, "since": iso(told.since), "until": iso(told.until), "matches": told.matches,
        "fired": told.fired, "uncertain": told.uncertain, "own": told.own,
        "weeks": [{"week": day.isoformat(), "fired": n} for day, n in told.weeks],
        "latest": [{"at": iso(item.at), "mentions": list(item.mentions)} for item in told.latest],
    }  # fmt: skip


# --- alerts ---------------------------------------------------------------------------------------


async def _alerts(args: argparse.Namespace, app: App) -> int:
    found = await app.engine.alerts(getattr(args, "name", None), getattr(args, "limit", 20))
    language = app.settings.alerts.language
    if getattr(args, "json", False):
        say_json({"alerts": [alert_to_json(alert, language) for alert in found]})
        return DONE
    rows = [
        (
            local_time(alert.created_at, app.settings.timezone), alert.id, alert.subscription, len(alert.evidence),
            short(render(alert, language).title, 80),
        )
        for alert in found
    ]  # fmt: skip
    table(("fired", "id", "subscription", "mentions", "what"), rows, right=(3,))
    return DONE


def alert_to_json(alert: Alert, language: str) -> dict[str, Any]:
    """An alert as it is delivered, with its destinations."""
    return {**render(alert, language).json, "destinations": list(alert.destinations)}


def delivery_to_json(delivery: Delivery) -> dict[str, Any]:
    """One attempt as JSON."""
    return {
        "alert": delivery.alert, "destination": delivery.destination, "at": iso(delivery.at), "ok": delivery.ok,
        "detail": delivery.detail,
    }  # fmt: skip


async def _show_alert(args: argparse.Namespace, app: App) -> int:
    found = await app.engine.alert(args.id)
    deliveries = await app.engine.deliveries(found.id)
    if getattr(args, "json", False):
        told = alert_to_json(found, app.settings.alerts.language)
        say_json({**told, "deliveries": [delivery_to_json(item) for item in deliveries]})
        return DONE
    message = render(found, app.settings.alerts.language)
    say(printable(message.title))
    for line in message.text.splitlines():
        say(printable(line))
    say()
    _print_deliveries(deliveries, app.settings)
    return DONE


async def _deliveries(args: argparse.Namespace, app: App) -> int:
    found = await app.engine.deliveries(args.id, args.limit)
    if getattr(args, "json", False):
        say_json({"deliveries": [delivery_to_json(item) for item in found]})
    else:
        _print_deliveries(found, app.settings)
    return DONE


def _print_deliveries(found: list[Delivery], settings: Settings) -> None:
    rows = [
        (
            local_time(item.at, settings.timezone), item.alert, item.destination, "sent" if item.ok else "failed",
            short(item.detail, 80),
        )
        for item in found
    ]  # fmt: skip
    table(("at", "alert", "destination", "result", "detail"), rows)


async def _try_destination(settings: Settings, name: str) -> int:
    """Send a trial message; the destination's own error is the command's."""
    from listener import notifiers

    _require_destination(settings, name)
    config = settings.destinations[name]
    text = "A trial of this destination: alerts will look like this."
    told = {"id": "trial", "title": "listener: trial", "text": text, "trial": True, "count": 0, "mentions": []}
    notifier = notifiers.load(config.type)(config)
    try:
        await notifier.send(notifiers.Message("trial", "listener: trial", text, told))
    finally:
        await notifier.close()
    note(f"{name}: delivered")
    return DONE

"""`make demo`: the bundled sample through the whole line, what was found, then the live part while it serves.

`python -m listener.demo [--dir DIR] [--no-serve]`
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from connectors.sample import OUR_BRAND, RIVALS, rows
from index.contract import Alert, Saved, Search, Subscription
from listener import presets, web
from listener.app import App, Service, opened
from listener.errors import LockedError
from listener.ingest import Ingest
from listener.journey import NAMES, StepView, worst
from listener.model import Page
from listener.pipeline import Worker
from listener.render import render
from listener.settings import Settings, load

_SETTINGS = f'''# The demo: one source, the bundled sample; alerts go to this terminal.
brand = "{OUR_BRAND}"

[index]
path = "listener.db"

[sources.sample]
connector = "sample"

[serve]
port = 8080
'''
_SEARCHES = (
    f"brand:{OUR_BRAND} segments:(step:reception sentiment:negative)",
    "livraison OR delivery OR Lieferung",
    "rating:[1 TO 2] lang:fr date:[now-14d TO now]",
)


async def demo(folder: Path, serve: bool) -> None:
    """Store the past part, print what stands in it, and serve until Ctrl-C."""
    settings_file = folder / "listener.toml"
    settings = await asyncio.to_thread(_settings, settings_file)
    async with opened(settings, service=True) as app:
        await _subscribe(app)
        await _ingest_past(app)
        await _report(app)
        if not serve:
            _say(f"\nNot serving (SERVE=0). Go on with: listener --config {settings_file} search '{_SEARCHES[0]}'")
            return
        await _serve(app, settings_file)


def _settings(file: Path) -> Settings:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_SETTINGS, "utf8")
    return load(file)


async def _subscribe(app: App) -> None:
    """The two ready-made subscriptions on our brand, and one that gathers an hour of trouble into one alert."""
    known = {item.id for item in await app.engine.subscriptions()}
    wanted = [item.subscription(app.now(), brand=OUR_BRAND) for item in presets.presets()]
    wanted.append(
        Subscription(
            "trouble", f"brand:{OUR_BRAND} -is:own segments:(sentiment:negative step:(payment OR support))",
            app.now(), name="trouble with an order", cooldown=timedelta(hours=1),
        )
    )  # fmt: skip
    for subscription in wanted:
        if subscription.id not in known:
            await app.engine.put_subscription(subscription)


async def _ingest_past(app: App) -> None:
    started = time.perf_counter()
    _say(f"Reading the sample: {sum(row['phase'] == 'past' for row in rows()):,} invented texts in 16 languages ...")
    source = app.source("sample", app.settings.sources["sample"].model_copy(update={"live": False}))
    done: list[Saved] = []

    def stored(page: Page, saved: Saved) -> None:
        done.append(saved)
        if sys.stderr.isatty():
            print(f"\r  {sum(item.new for item in done):,} stored", end="", file=sys.stderr)

    ingest: Ingest = await app.ingest()
    loaded = time.perf_counter()
    await Worker(source, ingest, once=True, on_saved=stored).run()
    await source.connector.close()
    new, known = sum(item.new for item in done), sum(item.known for item in done)
    seconds = time.perf_counter() - loaded
    _say(f"\r{new:,} stored and analysed in {seconds:.1f} s (classifier loaded in {loaded - started:.1f} s)"
         + (f", {known:,} known already" if known or not new else ""))  # fmt: skip


async def _report(app: App) -> None:
    now, engine = app.now(), app.engine
    facets = await engine.facets("*", ["lang", "channel", "overall"], now)
    status = await engine.status()
    _title("What the store holds")
    _say(f"{status.mentions:,} mentions, {len(facets['lang'])} languages, {len(facets['channel'])} channels; "
         + ", ".join(f"{count:,} {label}" for label, count in facets["overall"]))  # fmt: skip
    ours = await engine.journey(f"brand:{OUR_BRAND}", now)
    _title(f"Worst steps of {OUR_BRAND} (of {sum(item.segments for item in ours):,} clauses)")
    for step in worst(ours)[:3]:
        await _step(app, step)
    _title("Alerts")
    alerts = await engine.alerts(limit=20)
    for alert in alerts[:3]:
        _alert(alert)
    if len(alerts) > 3:
        _say(f"... and {len(alerts) - 3} more: listener alerts list")
    _title("Three searches to try")
    for query in _SEARCHES:
        found = await engine.search(Search(query, size=1), now)
        _say(f"  listener search '{query}'   ({found.total} found)")
    _title("What to make of it")
    _say(f"{OUR_BRAND} and its {len(RIVALS)} rivals are invented, and so are these texts. They were used in training,")
    _say("so the labels above look better than they are on texts never seen: docs/model-card.md has the true figures.")


async def _step(app: App, step: StepView) -> None:
    net = f"{step.net:+.2f}" if step.net is not None else "-"
    query = f"brand:{OUR_BRAND} segments:(step:{step.step} sentiment:negative)"
    found = await app.engine.search(Search(query, size=1), app.now())
    name, zone, emotion = NAMES["en"][step.step], step.zone or "-", step.top_emotion or ""
    _say(f"  {name:<26} net {net}  {step.clauses:>3} clauses  {zone:<13} {emotion}")
    for hit in found.hits:
        record = hit.record
        segments = record.analysis.segments if record.analysis else ()
        clause = next((s for s in segments if s.step == step.step and s.sentiment.label == "negative"), None)
        if clause is not None:
            _say(f"      “{record.mention.text[clause.start : clause.end]}”")


def _alert(alert: Alert) -> None:
    for line in render(replace(alert, evidence=alert.evidence[:2])).text.splitlines()[:8]:
        _say(f"  {line}")
    if len(alert.evidence) > 2:
        _say(f"  ... {len(alert.evidence)} mentions in this alert")
    _say("")


async def _serve(app: App, settings_file: Path) -> None:
    service = Service(app)
    await service.start()
    runner, address = await web.start(service)
    _title("Serving")
    _say(f"{address}/readyz   {address}/metrics   (Ctrl-C ends)")
    _say("The last thirty mentions arrive now, one every few seconds: an influencer among them. Alerts appear below.")
    _say(f"In another terminal: .venv/bin/listener --config {settings_file} search '{_SEARCHES[0]}'\n")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(name, stop.set)
    failed = asyncio.create_task(service.wait())
    await asyncio.wait({failed, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
    await runner.cleanup()
    await service.stop()
    if failed.done():
        failed.result()
    _say("Stopped; nothing is lost, `make demo` goes on where it was.")


_say: Callable[[str], None] = print


def _title(text: str) -> None:
    _say(f"\n{text}\n{'-' * len(text)}")


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m listener.demo", description=__doc__)
    parser.add_argument("--dir", type=Path, default=Path("demo"), help="where the demo keeps its store")
    parser.add_argument("--no-serve", action="store_true", help="stop after printing what was found")
    arguments = parser.parse_args()
    try:
        asyncio.run(demo(arguments.dir, not arguments.no_serve))
    except LockedError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

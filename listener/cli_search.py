"""`listener search`: pages for people, JSON for programs, CSV and JSON lines of a page or of everything."""

import argparse
import asyncio
import csv
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from index.contract import Hit, Hits, Search
from index.limits import LIMITS
from index.query import parse, words
from listener.app import App, opened
from listener.cli import DONE, settings_of
from listener.cli_output import (
    SENTIMENT_STYLE,
    local_time,
    note,
    paint,
    printable,
    safe_cell,
    say,
    say_json,
    short,
    to_json,
)
from listener.errors import InputError, QueryError
from listener.model import Mention, Record, iso, labels, record_to_json
from listener.settings import Settings

_SHOWN = 280  # characters of a text in a row for people
_EXPORT_PAGE = LIMITS.page_size


def search(args: argparse.Namespace) -> int:
    """Find mentions and print them."""
    as_json = getattr(args, "json", False)
    if as_json and args.format:
        raise InputError("--json and --format exclude each other: jsonl is one mention a line")
    if args.per == "segment" and not args.format:
        raise InputError("--per segment goes with --format csv or jsonl")
    if args.all and args.page:
        raise InputError("--all and --page exclude each other")
    if args.size > LIMITS.page_size:
        raise InputError(f"--size goes to {LIMITS.page_size}; --all gives everything")
    return asyncio.run(_search(args, settings_of(args), as_json))


async def _search(args: argparse.Namespace, settings: Settings, as_json: bool) -> int:
    async with opened(settings) as app:
        asked = await _asked(args, app)
        if args.all:
            await _everything(args, app, asked, as_json)
            return DONE
        hits = await app.engine.search(asked, app.now())
        if as_json:
            say_json({"total": hits.total, "mentions": [plain(hit) for hit in hits.hits], "next": hits.next})
        elif args.format:
            writer = Rows(args.format, args.per)
            for hit in hits.hits:
                writer.write(hit.record, plain(hit))
            if hits.next:
                note(f"next: --page {hits.next}")
        else:
            _print(hits, settings)
    return DONE


async def _asked(args: argparse.Namespace, app: App) -> Search:
    """The search, with the vector of its words where meaning counts. Raises QueryError where there are none."""
    zone = app.settings.timezone
    asked = Search(args.query, args.mode, args.sort, args.size, args.page, None, zone, highlight=not args.all)
    node = parse(args.query, now=app.now(), timezone=zone)
    if args.mode == "text":
        return asked
    text = words(node)
    if not text:
        raise QueryError(f"mode {args.mode} needs words to compare with", len(args.query), "a word or a sentence")
    batcher = await app.batcher()
    if batcher is None:
        raise InputError(f"mode {args.mode} needs a classifier: set [classifier] name")
    (vector,) = await batcher.embed([text])
    return Search(asked.query, asked.mode, asked.sort, asked.size, asked.page, vector, asked.timezone, asked.highlight)


# --- everything -----------------------------------------------------------------------------------


async def _everything(args: argparse.Namespace, app: App, asked: Search, as_json: bool) -> None:
    """All that is found, streamed: it may be larger than memory."""
    found = _records(app, asked)
    if args.format:
        writer = Rows(args.format, args.per)
        async for record in found:
            writer.write(record, record_to_json(record))
    elif as_json:
        total = 0
        sys.stdout.write('{"mentions": [')
        async for record in found:
            sys.stdout.write(("," if total else "") + "\n" + to_json(record_to_json(record)))
            total += 1
        sys.stdout.write(f'\n], "total": {total}, "next": null}}\n')
    else:
        async for record in found:
            _print_record(Hit(record), app.settings)


async def _records(app: App, asked: Search) -> AsyncIterator[Record]:
    if asked.mode == "text" and asked.sort == "-date":
        async for record in app.engine.export(asked.query, app.now(), asked.timezone):
            yield record
        return
    token: str | None = None
    given = 0
    while True:
        page = Search(
            asked.query, asked.mode, asked.sort, _EXPORT_PAGE, token, asked.vector, asked.timezone, highlight=False
        )
        hits = await app.engine.search(page, app.now())
        for hit in hits.hits:
            yield hit.record
        given += len(hits.hits)
        token = hits.next
        if token is None:
            break
    if given < hits.total:
        note(f"the first {given:,} of {hits.total:,}: this order goes no further, --sort -date gives all")


# --- shapes ---------------------------------------------------------------------------------------


def plain(hit: Hit) -> dict[str, Any]:
    """A hit as the JSON of one mention, with `highlights` [[field, start, end]] and `score` where there is one."""
    found = {**record_to_json(hit.record), "highlights": [list(span) for span in hit.highlights]}
    return found if hit.score is None else {**found, "score": hit.score}


_HEAD = ("id", "native_id", "source", "kind", "channel", "published_at")
_ABOUT = ("brand", "product", "place", "audience", "author", "followers", "rating")
_MENTION = (
    *_HEAD, "received_at", "language", *_ABOUT, "stars", "sentiment", "emotions", "intents", "steps", "uncertain",
    "title", "text", "url", "model",
)  # fmt: skip
_SEGMENT = (
    *_HEAD, "language", *_ABOUT, "url", "start", "end", "step", "step_score", "sentiment", "negative", "neutral",
    "positive", "emotions", "intents", "effort", "uncertain", "text", "model",
)  # fmt: skip


class Rows:
    """Writes rows on stdout: CSV with a head, or JSON lines; one per mention or per segment."""

    def __init__(self, form: str, per: str) -> None:
        self._per = per
        self._csv = csv.writer(sys.stdout, lineterminator="\n") if form == "csv" else None
        self._heads = _MENTION if per == "mention" else _SEGMENT
        if self._csv:
            self._csv.writerow(self._heads)

    def write(self, record: Record, whole: Mapping[str, Any]) -> None:
        """The rows of one mention; `whole` is its JSON."""
        if self._csv is None:
            for row in [whole] if self._per == "mention" else _split(whole):
                sys.stdout.write(to_json(row) + "\n")
            return
        for cells in [_mention_cells(record)] if self._per == "mention" else _segment_cells(record):
            self._csv.writerow([_cell(cells.get(name)) for name in self._heads])


def _cell(value: object) -> object:
    text = safe_cell(value)
    return text.encode("utf8", "replace").decode() if isinstance(text, str) else text


def _split(whole: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A mention's JSON once per segment, with `segment` in the place of `segments`."""
    shared = {key: value for key, value in whole.items() if key not in ("segments", "highlights")}
    for segment in whole["segments"]:
        yield {**shared, "segment": segment}


def _shared_cells(record: Record) -> dict[str, Any]:
    mention, author, analysis = record.mention, record.mention.author, record.analysis
    return {
        **{name: getattr(mention, name) for name in _HEAD[:-1]}, "published_at": iso(mention.published_at),
        **{name: getattr(mention, name) for name in ("brand", "product", "place", "audience", "rating", "url")},
        "author": (author.handle or author.name) if author else None, "followers": author.followers if author else None,
        "language": analysis.language if analysis else mention.language, "model": analysis.model if analysis else None,
    }  # fmt: skip


def _mention_cells(record: Record) -> dict[str, Any]:
    mention, analysis = record.mention, record.analysis
    cells = {
        **_shared_cells(record), "received_at": iso(mention.received_at), "title": mention.title, "text": mention.text,
    }  # fmt: skip
    if analysis is None:
        return cells
    return {
        **cells, "stars": analysis.stars, "sentiment": analysis.sentiment.label, "uncertain": analysis.uncertain,
        "emotions": " ".join(labels(analysis.emotions)), "intents": " ".join(labels(analysis.intents)),
        "steps": " ".join(dict.fromkeys(segment.step for segment in analysis.segments)),
    }  # fmt: skip


def _segment_cells(record: Record) -> Iterator[dict[str, Any]]:
    shared = _shared_cells(record)
    for segment in record.analysis.segments if record.analysis else ():
        yield {
            **shared, **segment.sentiment.scores, "start": segment.start, "end": segment.end, "step": segment.step,
            "step_score": segment.step_score, "sentiment": segment.sentiment.label, "effort": segment.effort,
            "emotions": " ".join(labels(segment.emotions)), "intents": " ".join(labels(segment.intents)),
            "uncertain": segment.uncertain, "text": record.mention.text[segment.start : segment.end],
        }  # fmt: skip


# --- for people -----------------------------------------------------------------------------------


def _print(hits: Hits, settings: Settings) -> None:
    say(f"{hits.total:,} found")
    for hit in hits.hits:
        _print_record(hit, settings)
    if hits.next:
        say(f"\nnext page: --page {hits.next}")


def _print_record(hit: Hit, settings: Settings) -> None:
    record = hit.record
    say(f"\n{paint(record.mention.id, 'dim')}  {headline(record.mention, settings)}")
    if record.mention.title:
        say(f"  {paint(short(record.mention.title, 120), 'bold')}")
    spans = [(start, end) for name, start, end in hit.highlights if name == "text"]
    say(f"  {_highlighted(record.mention.text, spans)}")
    for line in clauses(record):
        say(f"    {line}")


def headline(mention: Mention, settings: Settings) -> str:
    """When, where, about whom and by whom, in one line."""
    author = mention.author
    who = (f"@{author.handle.lstrip('@')}" if author.handle else author.name) if author else None
    if who and author and author.followers:
        who += f" ({author.followers:,} followers)"
    stars = f"{mention.rating:g} of 5" if mention.rating is not None else None
    parts = [local_time(mention.published_at, settings.timezone), mention.channel, mention.brand, stars, who]
    return "  ".join(printable(part) for part in parts if part)


def clauses(record: Record) -> list[str]:
    """One line per segment: step, sentiment and labels, coloured, then its words."""
    if record.analysis is None:
        return [paint("not analysed yet", "dim")]
    found = []
    for segment in record.analysis.segments:
        label = segment.sentiment.label
        extra = [*labels(segment.emotions), *labels(segment.intents)]
        extra += [f"effort {segment.effort}"] if segment.effort else []
        extra += ["uncertain"] if segment.uncertain else []
        what = paint(f"{segment.step:<10} {label:<8}", SENTIMENT_STYLE[label])
        told = f" ({', '.join(extra)})" if extra else ""
        found.append(f"{what}  {short(record.mention.text[segment.start : segment.end], 100)}{paint(told, 'dim')}")
    return found


def _highlighted(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text from a little before its first highlight on, in one line, the found words marked."""
    first = min((start for start, _ in spans), default=0)
    begin = 0 if first < _SHOWN - 80 else max(0, first - 80)
    end = min(len(text), begin + _SHOWN)
    parts, place = ["…" if begin else ""], begin
    for start, stop in sorted(spans):
        if start >= place and stop <= end:
            parts += [_line(text[place:start]), paint(_line(text[start:stop]), "inverse")]
            place = stop
    parts += [_line(text[place:end]), "…" if end < len(text) else ""]
    return "".join(parts).strip()


def _line(text: str) -> str:
    """Printable, with the blanks at its ends kept, as it stands between others."""
    before = " " if text[:1].isspace() else ""
    after = " " if len(text) > 1 and text[-1:].isspace() else ""
    return f"{before}{printable(text)}{after}"

"""How fast a mention meets 1,000 subscriptions: `python -m benchmarks.match [--subscriptions N]`.

The mentions are the bundled sample with the labels of its makers, 16 languages. The mix is what people subscribe to:
labels of one brand, phrases in a language, words with exceptions, low ratings, reach, fuzzy names. Then the cases in
which filing queries by their rarest condition helps least. Times in ms of the
processor hold the building of the document too; the time elapsed stands beside them, for a machine shared with others.
"""

import argparse
import dataclasses
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.corpus import NOW
from connectors import sample
from index.ast import Node
from index.document import Document
from index.evaluate import evaluate
from index.percolate import Percolator
from index.query import parse
from index.tokens import tokenize
from listener.model import (
    EMOTIONS,
    INTENTS,
    STEPS,
    Analysis,
    Record,
    Segment,
    Sentiment,
    iso,
    mention_from_json,
    mention_id,
    parse_time,
    to_ms,
)

_BRANDS = (*sample.RIVALS, sample.OUR_BRAND)
_CHANNELS = ("x", "bluesky", "trustpilot", "google", "instagram", "app_store")
_TARGET = 2.0


def records(draw: random.Random) -> list[Record]:
    """The past part of the sample as stored mentions; a fifth of the labels marked unsure."""
    gold = {row["native_id"]: row["gold"] for row in sample.rows() if "gold" in row}
    found = []
    for row in sample.past(NOW):
        published = parse_time(row["published_at"])
        mention = mention_from_json({
            "version": to_ms(published), **row, "id": mention_id("sample", row["native_id"]), "source": "sample",
            "received_at": iso(NOW),
        })  # fmt: skip
        segments = tuple(_segment(span, draw.random() < 0.2) for span in gold.get(row["native_id"], ()))
        whole = segments[0].sentiment if segments else _sentiment("neutral")
        analysis = Analysis("gold@1", mention.language or "und", whole, {}, {}, 3.0, segments, draw.random() < 0.2)
        found.append(Record(mention, analysis))
    return found


def _segment(span: Mapping[str, Any], unsure: bool) -> Segment:
    return Segment(
        span["start"], span["end"], span["step"], 0.9, _sentiment(span["sentiment"]),
        {name: 0.9 if name in span["emotions"] else 0.1 for name in EMOTIONS},
        {name: 0.9 if name in span["intents"] else 0.1 for name in INTENTS},
        span.get("effort"), unsure,
    )  # fmt: skip


def _sentiment(label: str) -> Sentiment:
    return Sentiment(label, {name: 0.9 if name == label else 0.05 for name in ("negative", "neutral", "positive")})


def mix(draw: random.Random, words: Sequence[str]) -> Callable[[], str]:
    """Makes queries as people write them, with words that the texts hold."""

    def word() -> str:
        return draw.choice(words)

    def brand() -> str:
        return f"brand:{draw.choice(_BRANDS)}"

    shapes: list[tuple[int, Callable[[], str]]] = [
        (20, lambda: f"{brand()} segments:(step:{draw.choice(STEPS)} sentiment:negative)"),
        (15, lambda: f'"{word()} {word()}" lang:{draw.choice(("en", "fr", "de", "es"))}'),
        (15, lambda: f"{brand()} ({word()} OR {word()} OR {word()[:5]}*) -{word()}"),
        (10, lambda: f"{brand()} rating:[1 TO 2]"),
        (10, lambda: f"followers:>={draw.choice((10_000, 50_000))} channel:{draw.choice(_CHANNELS)}"),
        (8, lambda: f"emotion:{draw.choice(EMOTIONS)} intent:{draw.choice(INTENTS)} {brand()}"),
        (8, lambda: f"{word()} {word()}~1 sentiment:negative"),
        (6, lambda: f"intent:{draw.choice(('churn_risk', 'escalation'))} channel:{draw.choice(_CHANNELS)}"),
        (3, lambda: "overall:negative rating:<=2 -is:own"),
        (3, lambda: f'"{word()} {word()}"~5 {brand()}'),
        (2, lambda: f"-is:own -lang:{draw.choice(('en', 'fr'))} rating:<2"),
    ]
    weights, makers = zip(*shapes, strict=True)
    return lambda: draw.choices(makers, weights)[0]()


def frequent(found: Sequence[Record], least: int = 2) -> list[str]:
    """Words of three letters or more that stand in at least so many texts."""
    counts: dict[str, int] = {}
    for record in found:
        for token in {token.exact for token in tokenize(record.mention.text)}:
            counts[token] = counts.get(token, 0) + 1
    return sorted(w for w, n in counts.items() if n >= least and w.isalpha() and len(w) >= 3 and w not in _RESERVED)


_RESERVED = frozenset(("and", "or", "not", "to"))


def prepared(queries: Sequence[str]) -> tuple[Percolator, float, list[tuple[str, Node]]]:
    """The queries ready to match, and the milliseconds that parsing and filing took."""
    start = time.perf_counter()
    nodes = [(str(place), parse(query, now=NOW)) for place, query in enumerate(queries)]
    percolator = Percolator(nodes)
    return percolator, (time.perf_counter() - start) * 1000, nodes


def measure(name: str, queries: Sequence[str], found: Sequence[Record]) -> float:
    """One line of the table; gives the p95 of the processor's time."""
    percolator, _, nodes = prepared(queries)
    for record in found[:100]:  # the caches of words and stems, as a service that runs has them
        percolator.match(Document(record))
    walls, times, matches = [], [], 0
    for record in found:
        wall, start = time.perf_counter(), time.thread_time()
        names = percolator.match(Document(record))
        times.append((time.thread_time() - start) * 1000)
        walls.append((time.perf_counter() - wall) * 1000)
        matches += len(names)
    some = [Document(record) for record in found[::40]]
    for document in some:
        plain = [key for key, node in nodes if evaluate(node, document)]
        assert plain == [key for key, _ in percolator.match(document)]
    candidates = statistics.mean(len(percolator.candidates(document)) for document in some)
    p95, elapsed = (statistics.quantiles(held, n=20, method="inclusive")[-1] for held in (times, walls))
    print(
        f"{name:<46} p50 {statistics.median(times):>6.2f}  p95 {p95:>6.2f}  max {max(times):>6.2f} ms  "
        f"(elapsed: p50 {statistics.median(walls):>6.2f}  p95 {elapsed:>6.2f})  "
        f"candidates {candidates:>5.0f}  matches {matches / len(found):>5.1f}",
        flush=True,
    )
    return p95


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscriptions", type=int, default=1000)
    count = parser.parse_args().subscriptions
    draw = random.Random(5)
    found = records(draw)
    words = frequent(found)
    make = mix(draw, words)
    queries = [make() for _ in range(count)]
    _, milliseconds, _ = prepared(queries)
    print(f"{len(found):,} mentions, {count:,} subscriptions, parsed and filed in {milliseconds:,.0f} ms")
    p95 = measure("a realistic mix", queries, found)
    print(f"   target: p95 under {_TARGET:g} ms: {'met' if p95 < _TARGET else 'missed'}")
    stress(draw, words, queries, found)


def stress(draw: random.Random, words: Sequence[str], queries: Sequence[str], found: Sequence[Record]) -> None:
    """The cases in which filing by the rarest condition helps least."""
    brand, count = f"brand:{sample.OUR_BRAND}", len(queries)
    ours = [_changed(record, brand=sample.OUR_BRAND, rating=1.0) for record in found[:400]]
    measure("all of one brand, another word each", [f"{brand} {draw.choice(words)}" for _ in queries], ours)
    labels = "step:{} sentiment:negative rating:[1 TO 2] -is:own"
    measure("all of one brand, labels alone", [f"{brand} {labels.format(draw.choice(STEPS))}" for _ in queries], ours)
    alike = [f"followers:>={n} -{words[n % len(words)]} rating:<{3 + n / count}" for n in range(count)]
    measure("no two alike, nothing to file them by", alike, ours)
    measure("fuzzy words", [f"{draw.choice(words)}~2" for _ in queries], found[:400])
    measure(
        "the mix, texts 20 times as long", queries, [_changed(r, text=f"{r.mention.text} " * 20) for r in found[:200]]
    )


def _changed(record: Record, **changes: Any) -> Record:
    return dataclasses.replace(record, mention=dataclasses.replace(record.mention, **changes))


if __name__ == "__main__":
    main()

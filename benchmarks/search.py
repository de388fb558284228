"""How fast searches answer: `python -m benchmarks.search STORE` on a store of `python -m benchmarks.store --store`.

`--make-queries` writes benchmarks/queries.txt anew: 200 queries whose terms match 10 to 50,000 mentions each.
Prints p50 and p95 in ms, the client's work included, for both orders, facets, meaning search with its recall.
"""

import argparse
import asyncio
import math
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import apsw
import numpy as np

from benchmarks.corpus import BRANDS, CHANNELS, NOW, Corpus
from index.contract import Search
from index.embedded.database import rows
from index.embedded.engine import EmbeddedEngine

QUERIES = Path(__file__).with_name("queries.txt")
_FACETS = ("lang", "channel", "brand", "overall", "step", "sentiment")


def make_queries(store: Path) -> list[str]:
    """Terms drawn evenly over the logarithm of how many mentions hold them, in the shapes people write."""
    draw = random.Random(5)
    connection = apsw.Connection(str(store), flags=apsw.SQLITE_OPEN_READONLY)
    found = connection.execute("SELECT term, doc FROM vocabulary WHERE col = 'text' AND doc BETWEEN 10 AND 50000")
    terms = [(word, n) for word, n in found if word.isalpha()]
    bins: dict[int, list[str]] = {}
    for held, n in terms:
        bins.setdefault(int(math.log(n, 1.6)), []).append(held)

    def term() -> str:
        return draw.choice(bins[draw.choice(sorted(bins))])

    known = {word for word, _ in terms}
    pairs = [
        f'"{a} {b}"'
        for mention in Corpus().mentions(300)
        for a, b in pairwise(mention.text.split())
        if a in known and b in known
    ]
    shapes: list[tuple[int, Callable[[], str]]] = [
        (80, term),
        (30, lambda: f"{term()} {term()}"),
        (25, lambda: f"{term()} OR {term()}"),
        (20, lambda: draw.choice(pairs)),
        (15, lambda: f"{term()} -{term()}"),
        (15, lambda: f"{term()} brand:{draw.choice(BRANDS)}"),
        (10, lambda: f"{term()} channel:{draw.choice(CHANNELS)} date:[2026-06-01 TO 2026-11-01]"),
        (5, lambda: f"segments:({term()} sentiment:negative)"),
    ]
    return [make() for count, make in shapes for _ in range(count)]


async def timed(work: Awaitable[object]) -> float:
    """Milliseconds until it is done."""
    start = time.perf_counter()
    await work
    return (time.perf_counter() - start) * 1000


def say(name: str, times: list[float]) -> None:
    """One line of the table."""
    p95 = statistics.quantiles(times, n=20)[-1]
    print(f"{name:<44} p50 {statistics.median(times):>7.1f} ms   p95 {p95:>7.1f} ms   n {len(times)}", flush=True)


async def run(store: Path) -> None:
    """All figures on one store."""
    engine = EmbeddedEngine(store)
    await engine.open()
    print(await engine.status())
    queries = QUERIES.read_text("utf8").splitlines()
    for sort in ("-date", "relevance"):
        for state in ("cold", "warm"):
            slow = [(await timed(engine.search(Search(query, sort=sort), NOW)), query) for query in queries]
            say(f"search, top 20 and total, order {sort} ({state})", [ms for ms, _ in slow])
        print("   slowest:", ", ".join(f"{query} {ms:.0f}" for ms, query in sorted(slow, reverse=True)[:4]))
    tenth = "date:[now-36d TO now]"
    await engine.facets(tenth, _FACETS, NOW)
    say("six facets over a tenth of the corpus", [await timed(engine.facets(tenth, _FACETS, NOW)) for _ in range(20)])
    say("journey over a tenth", [await timed(engine.journey(tenth, NOW)) for _ in range(10)])
    await meaning(engine, store)
    await engine.close()


async def meaning(engine: EmbeddedEngine, store: Path) -> None:
    """Meaning search, and its recall at 20 against a plain scan of every vector."""
    connection = apsw.Connection(str(store), flags=apsw.SQLITE_OPEN_READONLY)
    found = rows(connection, "SELECT mention, value FROM vector")
    if not found:
        return
    keys = np.array([key for key, _ in found])
    matrix = np.frombuffer(b"".join(value for _, value in found), np.int8).reshape(len(found), -1).astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    draw = np.random.default_rng(3)
    times, recalls = [], []
    for place in draw.integers(0, len(found), 50):
        noisy = matrix[place] + draw.normal(0, 0.02, matrix.shape[1])
        vector = np.round(noisy / np.abs(noisy).max() * 127).astype(np.int8).tobytes()
        search = Search("", mode="meaning", vector=vector)
        hits = await engine.search(search, NOW)
        times.append(await timed(engine.search(search, NOW)))
        query = np.frombuffer(vector, np.int8).astype(np.float32)
        exact = set(keys[np.argsort(-(matrix @ query))[:20]].tolist())
        ids = {hit.record.mention.id for hit in hits.hits}
        got = rows(connection, f"SELECT id FROM mention WHERE rowid IN ({','.join(map(str, exact))})")
        recalls.append(len(ids & {key.hex() for (key,) in got}) / 20)
    say("meaning search, top 20", times)
    print(f"   recall at 20: {statistics.mean(recalls):.3f}")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--make-queries", action="store_true")
    arguments = parser.parse_args()
    if arguments.make_queries:
        QUERIES.write_text("\n".join(make_queries(arguments.store)) + "\n", "utf8")
        return
    asyncio.run(run(arguments.store))


if __name__ == "__main__":
    main()

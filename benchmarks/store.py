"""How fast mentions are stored: `python -m benchmarks.store [--mentions N] [--vectors] [--store FILE]`.

Prints mentions per second for every window of 100,000, and the size of the store.
"""

import argparse
import asyncio
import random
import tempfile
import time
from itertools import islice
from pathlib import Path

from benchmarks.corpus import NOW, Corpus
from index.contract import Batch
from index.embedded.engine import EmbeddedEngine
from listener.model import VECTOR_SIZE, Page, Record

_PAGE = 500
_WINDOW = 100_000


async def run(path: Path, count: int, vectors: bool) -> None:
    """Store `count` mentions and print the rates."""
    corpus, draw = Corpus(), random.Random(2)
    centres = [[draw.gauss(0, 1) for _ in range(VECTOR_SIZE)] for _ in range(500)] if vectors else []
    engine = EmbeddedEngine(path)
    await engine.open()
    mentions = corpus.mentions(count)
    stored, busy, window = 0, 0.0, 0.0
    while chunk := list(islice(mentions, _PAGE)):
        records = tuple(
            corpus.analysed(mention, _vector(draw, centres)) if vectors else Record(mention) for mention in chunk
        )
        start = time.perf_counter()
        saved = await engine.save(Batch("benchmark", Page(cursor=str(stored)), records, NOW, "off"))
        busy += time.perf_counter() - start
        stored += saved.new
        if stored % _WINDOW == 0 or stored == count:
            rate = ((stored - 1) % _WINDOW + 1) / (busy - window)
            print(f"{stored:>9,} stored  {rate:>7,.0f} mentions/s in this window", flush=True)
            window = busy
    status = await engine.status()
    print(
        f"all: {stored / busy:,.0f} mentions/s; {status.bytes / 1e6:,.0f} MB, {status.bytes / stored:,.0f} bytes each"
    )
    await engine.close()


def _vector(draw: random.Random, centres: list[list[float]]) -> bytes:
    """A vector near one of the centres, as texts cluster by what they speak of."""
    import numpy as np

    centre = np.array(draw.choice(centres)) + np.random.default_rng(draw.randrange(1 << 30)).normal(0, 0.8, VECTOR_SIZE)
    quantised: bytes = np.round(centre / np.abs(centre).max() * 127).astype(np.int8).tobytes()
    return quantised


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mentions", type=int, default=1_000_000)
    parser.add_argument("--vectors", action="store_true", help="two segments and a vector each")
    parser.add_argument("--store", type=Path, help="keep the store there (for the other benchmarks)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.store or Path(folder) / "benchmark.db"
        asyncio.run(run(path, arguments.mentions, arguments.vectors))


if __name__ == "__main__":
    main()

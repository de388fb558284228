"""Real files into a store: `python -m benchmarks.real_data DATA_DIR [--store FILE] [--analyse N]`.

Imports every table of DATA_DIR/sentiment and DATA_DIR/support as `listener import --no-analysis` does, and prints per
file rows and their mean length, rate and dead letters with their reasons. Then N rows drawn evenly over all languages
are imported with analysis into a store of their own, with the alerts of the two ready-made subscriptions. The language
of a file is the part of its name of two or three letters.
"""

import argparse
import csv
import gzip
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDERS = ("sentiment", "support")
_NUMBERS = re.compile(r"\d+")
_LARGEST_FIELD = 1 << 26


class Listener:
    """The command line over one store, a process a call as people run it."""

    def __init__(self, folder: Path) -> None:
        self._settings = folder / "listener.toml"
        if not self._settings.exists():
            self._call("init", str(folder), settings=False)

    def ask(self, *arguments: str) -> Any:
        """What a command prints with --json."""
        return json.loads(self._call(*arguments, "--json"))

    def _call(self, *arguments: str, settings: bool = True) -> str:
        given = ["--config", str(self._settings)] if settings else []
        command = [sys.executable, "-m", "listener.cli", *given, *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def files_of(data: Path) -> list[Path]:
    """The tables of both folders, by name."""
    return [path for folder in FOLDERS for path in sorted((data / folder).glob("*.csv.gz"))]


def language_of(path: Path) -> str:
    """`fr` of `mabsa.fr.csv.gz`, `pt` of `x.pt-br.csv.gz`, `en` of `x.en.reasons.csv.gz`."""
    parts = [part.split("-")[0] for part in path.name.removesuffix(".csv.gz").split(".")[1:]]
    return next(part for part in parts if 2 <= len(part) <= 3)


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a table, read by Python's own reader: an independent count of what is there."""
    csv.field_size_limit(_LARGEST_FIELD)
    with gzip.open(path, "rt", encoding="utf8", newline="") as stream:
        yield from csv.DictReader(stream)


def store_all(data: Path, listener: Listener) -> Counter[str]:
    """Import every file without analysis; gives the reasons of the dead letters."""
    sums: Counter[str] = Counter()
    started = time.perf_counter()
    print(f"{'file':<48} {'rows':>8} {'letters':>7} {'stored':>8} {'known':>6} {'dead':>5} {'rows/s':>7}")
    for path in files_of(data):
        (found,) = listener.ask("import", str(path), "--no-analysis")["files"]
        lengths = [sum(map(len, row.values())) for row in rows_of(path)]
        rows = len(lengths)
        handled = found["new"] + found["updated"] + found["known"] + found["rejected"]
        rate = handled / found["seconds"] if found["seconds"] else 0
        known = found["known"] + found["updated"]
        name = f"{path.parent.name}/{path.name.removesuffix('.csv.gz')}"
        print(
            f"{name:<48} {rows:>8,} {sum(lengths) / rows:>7.0f} {found['new']:>8,} {known:>6,} "
            f"{found['rejected']:>5,} {rate:>7,.0f}" + ("" if rows == handled else f"   {handled:,} were read"),
            flush=True,
        )
        sums.update(rows=rows, new=found["new"], known=known, rejected=found["rejected"], handled=handled)
        sums["milliseconds"] += round(found["seconds"] * 1000)
    seconds = sums["milliseconds"] / 1000
    print(
        f"all: {sums['rows']:,} rows of {len(files_of(data))} files, {sums['new']:,} stored, {sums['known']:,} known, "
        f"{sums['rejected']:,} dead letters, {sums['handled'] / seconds:,.0f} rows/s "
        f"({seconds:,.0f} s of work, {time.perf_counter() - started:,.0f} s with a process a file)"
    )
    return reasons(listener)


def reasons(listener: Listener) -> Counter[str]:
    """Why rows are dead letters, numbers in the reasons left out."""
    letters = listener.ask("sources", "dead-letters", "--limit", "1000000")["dead_letters"]
    found = Counter(_NUMBERS.sub("N", letter["reason"]) for letter in letters)
    for reason, count in found.most_common():
        example = next(letter for letter in letters if _NUMBERS.sub("N", letter["reason"]) == reason)
        print(f"   {count:>6,}  {reason[:110]}   e.g. {example['where']}")
    return found


def drawn(data: Path, count: int) -> list[dict[str, Any]]:
    """Rows with a text, as many of each language where it has them; the rest from the languages that have more."""
    draw = random.Random(7)
    pools: dict[str, list[dict[str, Any]]] = {}
    for path in files_of(data):
        pool = pools.setdefault(language_of(path), [])
        for row in rows_of(path):
            if not (row["text"] or "").strip():
                continue
            pool.append({"native_id": f"{path.parent.name}/{path.name}/{len(pool)}", "text": row["text"]})
            pool[-1] |= {"kind": row["kind"]} if row.get("kind") else {}
            pool[-1] |= {"rating": float(row["stars"])} if row.get("stars") else {}
    sample: list[dict[str, Any]] = []
    for left, (_, pool) in zip(
        range(len(pools), 0, -1), sorted(pools.items(), key=lambda item: len(item[1])), strict=True
    ):
        sample += draw.sample(pool, min(len(pool), (count - len(sample)) // left))
    draw.shuffle(sample)
    print(f"{len(sample):,} rows drawn over {len(pools)} languages")
    return sample


def analyse(data: Path, count: int, folder: Path) -> None:
    """Import drawn rows with analysis, as one file of JSON lines."""
    listener = Listener(folder / "analysed")
    path = folder / "drawn.jsonl"
    sample = drawn(data, count)
    path.write_text("".join(json.dumps(row) + "\n" for row in sample), "utf8")
    report = listener.ask("import", str(path))
    (found,) = report["files"]
    print(
        f"with analysis: {found['new']:,} stored, {found['rejected']:,} dead letters in {found['seconds']:,.0f} s, "
        f"{found['new'] / found['seconds']:,.1f} mentions/s; {report['alerts']:,} alerts, {report['history']:,} history"
    )
    reasons(listener)
    for query in ("is:unanalysed", "is:uncertain", "lang:und"):
        print(f"   {query:<16} {listener.ask('search', query, '--size', '1')['total']:>7,}")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--store", type=Path, help="keep settings and store in this folder")
    parser.add_argument("--analyse", type=int, default=20_000, metavar="N", help="rows with analysis; 0: none")
    parser.add_argument("--only-analyse", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.store or Path(scratch)
        if not arguments.only_analyse:
            store_all(arguments.data, Listener(folder / "stored"))
        if arguments.analyse:
            analyse(arguments.data, arguments.analyse, folder)


if __name__ == "__main__":
    main()

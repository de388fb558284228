"""Rows of the data folder that may be trained on: licences, splits and leaks settled in one place.

Used in training and evaluation only. The folder holds sentiment, emotion, support and journey.
"""

import csv
import gzip
import json
import re
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Terms forbid shipping weights trained on these (see the SOURCES.md beside the data); they may evaluate.
NOT_FOR_WEIGHTS = (
    "laroseda", "parsinlu", "rusentiment", "armanemo", "semeval2019suggestion", "norec", "semeval16_rest.fr",
    "semeval2016absa-restaurants.fr", "us_airline", "usairline", "twcs", "tickets.", "vsmec",
)  # fmt: skip
REDUCED = {"arq": "ar", "ary": "ar", "pt-br": "pt", "pt-mz": "pt", "zh-cn": "zh", "zh-tw": "zh"}
FOLDERS = ("sentiment", "emotion", "support")
_LINKS_AND_NAMES = re.compile(r"https?://\S+|www\.\S+|\bhttp\b|@\w+", re.IGNORECASE)
_NOISE = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a data file: `name` is the file's without suffixes, as in `umsab.fr`."""

    folder: str
    name: str
    id: str
    text: str
    split: str  # train or validation
    fields: Mapping[str, str]

    @property
    def language(self) -> str:
        """The file's language, reduced to the language's own code."""
        return language_of(self.name)


def language_of(name: str) -> str:
    """`brighter.pt-br` -> `pt`."""
    code = name.split(".")[1]
    return REDUCED.get(code, code)


def allowed(name: str) -> bool:
    """Whether weights trained on that file (or journey id) may ship."""
    return not name.startswith(NOT_FOR_WEIGHTS)


def key(text: str) -> str:
    """The text without links, @names, case and punctuation: equal keys are the same text."""
    return _NOISE.sub("", _LINKS_AND_NAMES.sub(" ", text.casefold()))


def split_of(identifier: str, split: str) -> str:
    """The split of a row; where the set has none, one id in ten is validation."""
    if split == "none":
        return "validation" if zlib.crc32(identifier.encode()) % 10 == 0 else "train"
    return split


def files(data: Path, folder: str) -> list[Path]:
    """The data files of a folder, in order of name."""
    return [path for path in sorted((data / folder).glob("*.csv.gz")) if ".reasons." not in path.name]


def read(path: Path) -> Iterator[Row]:
    """The rows of one file, in its order, train and validation only."""
    return (row for row in read_all(path) if row.split in ("train", "validation"))


def read_all(path: Path) -> Iterator[Row]:
    """Every row of one file, in its order."""
    csv.field_size_limit(sys.maxsize)
    name = path.name.removesuffix(".csv.gz")
    with gzip.open(path, "rt", encoding="utf8", newline="") as lines:
        for fields in csv.DictReader(lines):
            split = split_of(fields["id"], fields["split"])
            yield Row(path.parent.name, name, fields["id"], fields["text"], split, fields)


def journey(data: Path, *names: str) -> list[dict[str, Any]]:
    """The verbatims of `journey/<name>.jsonl`, in order."""
    found = []
    for name in names:
        with (data / "journey" / f"{name}.jsonl").open(encoding="utf8") as lines:
            found += [json.loads(line) for line in lines]
    return found


def load(data: Path) -> list[Row]:
    """Every row of the three folders, train and validation."""
    return [row for folder in FOLDERS for path in files(data, folder) for row in read(path)]


class Leaks:
    """What must not be trained on: texts of any validation split, parallel sentences by id."""

    def __init__(self, rows: list[Row], validation: list[dict[str, Any]]) -> None:
        held = [row for row in rows if row.split == "validation"]
        self._keys = {key(row.text) for row in held} | {key(item["text"]) for item in validation}
        self._parallel = {row.id for row in held if row.name.startswith("mabsa")}

    def leaks(self, row: Row) -> bool:
        """Whether a train row stands in an evaluation set too."""
        if row.name.startswith("mabsa") and row.id in self._parallel:
            return True
        return self.leaks_text(row.text)

    def leaks_text(self, text: str) -> bool:
        """Whether the text stands in an evaluation set; texts of only links and names never do."""
        found = key(text)
        return bool(found) and found in self._keys


def trainable(rows: list[Row], leaks: Leaks) -> list[Row]:
    """The train rows whose licence and text allow it."""
    return [row for row in rows if row.split == "train" and allowed(row.name) and not leaks.leaks(row)]

"""`listener analyze`: JSON lines in, one line of analysis each out, in order, in bounded memory, without a store."""

import argparse
import gzip
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from listener.cli import DONE
from listener.cli_output import note, progress
from listener.errors import ConfigError, InputError
from listener.model import KIND_ALIASES, KINDS, Analysis, Explanation, Verbatim, analysis_to_json
from nlp.classifier import Classifier

BATCH = 256  # lines at once, fewer where they are long
LONGEST_LINE = 4_000_000  # bytes
_DECIMALS = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the input: what is to be read, or what is wrong with it."""

    number: int
    id: Any = None
    verbatim: Verbatim | None = None
    error: str = ""


def analyze(args: argparse.Namespace) -> int:
    """Analyse a file of JSON lines; a bad line gives an error line in its place."""
    classifier, budget = _classifier(args)
    bad = 0
    with ExitStack() as stack:
        stream, size = stack.enter_context(_source(args.file))
        out = stack.enter_context(_target(args.out))
        report = stack.enter_context(progress(args.file, "B", scale=True))
        done = 0
        for batch, done in _batches(stream, classifier, budget):
            for row in answers(batch, classifier, explain=args.explain, vector=args.vector):
                bad += "error" in row
                out.write(encoded(row))
            out.flush()
            report(min(done, size or done), size)
    if bad:
        note(f"lines that could not be analysed: {bad:,}; their `error` says why")
    return DONE


def _classifier(args: argparse.Namespace) -> tuple[Classifier, int]:
    """The classifier of the settings where there are any, else the default one; and the cost of a batch."""
    from listener.settings import FILE_NAME, VARIABLE, Settings, find
    from listener.settings import load as load_settings
    from nlp.registry import load

    named = args.config is not None or os.environ.get(VARIABLE)
    found = named or (Path(FILE_NAME).is_file() and args.classifier is None)
    wanted = (load_settings(find(args.config)) if found else Settings()).classifier
    name = args.classifier or wanted.name
    if name == "none":
        raise ConfigError("the settings name no classifier: give --classifier NAME", path="classifier.name")
    options = {"threads": wanted.threads} if wanted.threads and name == wanted.name else {}
    return load(name, **options), wanted.token_budget


# --- reading --------------------------------------------------------------------------------------


@contextmanager
def _source(name: str) -> Iterator[tuple[BinaryIO, int]]:
    """The input and its size in bytes, 0 where that is not known."""
    if name == "-":
        yield sys.stdin.buffer, 0
        return
    path = Path(name)
    if not path.exists():
        raise InputError(f"there is no file {name}")
    if path.is_dir():
        raise InputError(f"{name} is a folder: name a file of JSON lines")
    packed = path.name.lower().endswith(".gz")
    with cast(BinaryIO, gzip.open(path, "rb")) if packed else path.open("rb") as stream:
        yield stream, 0 if packed else path.stat().st_size


def _batches(stream: BinaryIO, classifier: Classifier, budget: int) -> Iterator[tuple[list[Line], int]]:
    """Lines in batches that cost about `budget` pieces, each with the bytes read so far."""
    batch: list[Line] = []
    cost = done = 0
    for line, done in lines(stream):
        batch.append(line)
        cost += classifier.cost(line.verbatim) if line.verbatim else 0
        if len(batch) >= BATCH or cost >= budget:
            yield batch, done
            batch, cost = [], 0
    if batch:
        yield batch, done


def lines(stream: BinaryIO) -> Iterator[tuple[Line, int]]:
    """Every line of the input, readable or not, each with the bytes read so far."""
    number = done = 0
    while raw := stream.readline(LONGEST_LINE):
        number += 1
        done += len(raw)
        if not raw.endswith(b"\n") and len(raw) == LONGEST_LINE:
            while (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                done += len(rest)
            done += len(rest)
            yield Line(number, error=f"the line is longer than {LONGEST_LINE:,} bytes"), done
            continue
        yield parsed(number, raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw), done


def parsed(number: int, raw: bytes) -> Line:
    """One line of the input."""
    if not raw.strip():
        return Line(number, error="the line is empty")
    try:
        data = json.loads(raw.decode("utf8"), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        return Line(number, error=f"not UTF-8 at byte {error.start + 1} of the line")
    except (ValueError, RecursionError) as error:
        return Line(number, error=f"not JSON: {error if isinstance(error, ValueError) else 'nested too deeply'}")
    if not isinstance(data, dict):
        return Line(number, error="not a JSON object")
    given = data.get("id")
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        what = "no `id`" if given is None else "an `id` that is neither text nor a number"
        return Line(number, error=f"the object has {what}")
    if isinstance(given, float) and not math.isfinite(given):
        return Line(number, error="the `id` is too large a number")
    return _read(number, given, data)


def _read(number: int, given: Any, data: dict[str, Any]) -> Line:
    text, language, kind = data.get("text"), data.get("language"), data.get("kind")
    if not isinstance(text, str):
        return Line(number, given, error="no `text`" if text is None else "`text` is not text")
    if language is not None and not isinstance(language, str):
        return Line(number, given, error="`language` is not text")
    if kind is not None:
        known = str(kind).strip().casefold()
        kind = KIND_ALIASES.get(known, known)
        if kind not in KINDS:
            return Line(number, given, error=f"unknown `kind` (allowed: {', '.join((*KINDS, *KIND_ALIASES))})")
    return Line(number, given, Verbatim(text, language or None, kind or None))


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


# --- answering ------------------------------------------------------------------------------------


def answers(
    batch: Sequence[Line], classifier: Classifier, *, explain: bool = False, vector: bool = False
) -> Iterator[dict[str, Any]]:
    """One row per line, in order."""
    verbatims = [line.verbatim for line in batch if line.verbatim is not None]
    outcomes = iter(_outcomes(verbatims, classifier))
    for line in batch:
        if line.verbatim is None:
            place = {"line": line.number} if line.id is None else {"id": line.id}
            yield {**place, "error": line.error}
            continue
        try:
            outcome = next(outcomes)
            if isinstance(outcome, Exception):
                raise outcome
            row = {"id": line.id, **analysis_to_json(outcome, line.verbatim.text)}
            if explain:
                said = outcome.vector is not None  # there is nothing to explain of a text that says nothing
                _add_explanation(row, classifier.explain(line.verbatim, outcome) if said else ())
            if vector:
                row["vector"] = _floats(outcome)
        except Exception as error:  # one text that the model cannot read stops nothing
            row = {"id": line.id, "error": f"cannot be analysed: {str(error) or type(error).__name__}"}
        yield row


def _outcomes(verbatims: Sequence[Verbatim], classifier: Classifier) -> list[Analysis | Exception]:
    """An outcome each; where a batch fails as a whole each is tried alone."""
    if not verbatims:
        return []
    try:
        return classifier.analyse(verbatims)
    except Exception as error:
        if len(verbatims) == 1:
            return [error]
        return [outcome for verbatim in verbatims for outcome in _outcomes([verbatim], classifier)]


def _add_explanation(row: dict[str, Any], found: Sequence[Explanation]) -> None:
    row["explanation"] = _spans(found, None)
    for number, segment in enumerate(row["segments"]):
        segment["explanation"] = _spans(found, number)


def _spans(found: Sequence[Explanation], segment: int | None) -> list[dict[str, Any]]:
    return [
        {"label": item.label, "start": item.start, "end": item.end, "weight": item.weight}
        for item in found
        if item.segment == segment
    ]


def _floats(analysis: Analysis) -> list[float] | None:
    """The vector with length 1; None where a text says nothing and has none."""
    from nlp.vector import unit

    if analysis.vector is None or not any(analysis.vector):
        return None
    return [round(float(value), _DECIMALS) for value in unit(analysis.vector)]


# --- writing --------------------------------------------------------------------------------------


@contextmanager
def _target(name: str) -> Iterator[BinaryIO]:
    """The output; a file gets its name when it is complete, so that it may be the input too."""
    if name == "-":
        sys.stdout.flush()
        yield sys.stdout.buffer
        return
    path = Path(name)
    if path.exists() and not path.is_file():  # a device or a pipe
        with path.open("wb") as stream:
            yield stream
        return
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as stream:
            yield stream
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def encoded(row: dict[str, Any]) -> bytes:
    """One line of output; lone surrogates stay escaped, as they came."""
    try:
        return (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode("utf8")
    except UnicodeEncodeError:
        return (json.dumps(row, allow_nan=False) + "\n").encode()

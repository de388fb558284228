"""Writes that no single record can stop: where one makes the engine fail, it is found and set aside."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime

from index.contract import AnalysisOutcome, Batch, Rules, Saved
from index.engine import Engine
from listener.errors import InputError
from listener.model import Mention, Page, Record, Reject, mention_to_json

log = logging.getLogger("listener.storing")

# what a value that does not fit raises; errors that speak of the store or of the service are not among them
FAULTS = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, InputError)
_ALL_OF = 10  # where so many records of a page all fail, the fault is ours and not theirs


async def save(engine: Engine, batch: Batch, rules: Rules | None, *, keep_words: bool = True) -> Saved:
    """Store a batch; a record that cannot be stored becomes a dead letter, one whose analysis cannot goes without.

    `keep_words` False leaves the words of such a dead letter out. Raises the engine's own errors.
    """
    try:
        return await engine.save(batch, rules)
    except FAULTS as error:
        if not batch.records:
            raise
        log.warning("source %s: a page is stored record by record: %s", batch.source, reason_of(error))
        saved, left_out, failures = await _one_by_one(engine, batch, rules)
        if len(left_out) == len(batch.records) >= _ALL_OF:
            raise
    rejects = [reject(mention, why, keep_words) for mention, why in left_out]
    gone = {id(mention) for mention, _ in left_out}
    records = tuple(
        Record(r.mention) if r.mention.id in failures else r for r in batch.records if id(r.mention) not in gone
    )
    page = replace(
        batch.page, mentions=tuple(r.mention for r in records), rejects=(*batch.page.rejects, *rejects)
    )  # fmt: skip
    whole = replace(batch, page=page, records=records, failures={**batch.failures, **failures})
    last = await engine.save(whole, rules)  # what was stored above is known now: this adds the rest and the cursor
    return _sum(saved, replace(last, known=last.known - saved.new - saved.updated))


async def _one_by_one(
    engine: Engine, batch: Batch, rules: Rules | None
) -> tuple[Saved, list[tuple[Mention, str]], Mapping[str, str]]:
    """Store each record alone; gives what was done, who cannot be stored and whose analysis cannot, with reasons."""
    saved, left_out, failures = Saved(), list[tuple[Mention, str]](), dict[str, str]()
    for record in batch.records:
        mention = record.mention
        alone = replace(batch, page=Page((mention,)), records=(record,))
        try:
            saved = _sum(saved, await engine.save(alone, rules))
            continue
        except FAULTS as error:
            why = reason_of(error)
        if record.analysis is not None:
            bare = replace(alone, records=(Record(mention),), failures={mention.id: f"its analysis: {why}"})
            try:
                saved = _sum(saved, await engine.save(bare, rules))
                failures.update(bare.failures)
                continue
            except FAULTS as error:
                why = reason_of(error)
        left_out.append((mention, why))
    return saved, left_out, failures


async def analysed(
    engine: Engine, outcomes: Sequence[AnalysisOutcome], now: datetime, rules: Rules | None
) -> Saved:  # fmt: skip
    """Store analyses of stored mentions; one that cannot be stored counts as failed and is tried again later."""
    try:
        return await engine.analysed(outcomes, now, rules)
    except FAULTS as error:
        log.warning("analyses are stored one by one: %s", reason_of(error))
    saved = Saved()
    for mention_id, version, outcome in outcomes:
        try:
            saved = _sum(saved, await engine.analysed([(mention_id, version, outcome)], now, rules))
        except FAULTS as error:
            await engine.analysed([(mention_id, version, f"its analysis: {reason_of(error)}")], now, rules)
    return saved


def reject(mention: Mention, reason: str, keep_words: bool = True) -> Reject:
    """A mention as a dead letter: its fields as JSON, without them where the words may not be kept."""
    if not keep_words:
        return Reject(b"", reason, f"mention {mention.native_id!r}")
    try:
        raw = json.dumps(mention_to_json(mention), default=str).encode()
    except FAULTS:
        raw = repr(mention).encode("utf8", "backslashreplace")
    return Reject(raw, reason, f"mention {mention.native_id!r}")


def reason_of(error: Exception) -> str:
    """An unexpected error in one line."""
    return f"{type(error).__name__}: {error}"[:500]


def _sum(one: Saved, other: Saved) -> Saved:
    return Saved(*(getattr(one, field.name) + getattr(other, field.name) for field in fields(Saved)))

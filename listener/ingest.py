"""One page on its way: prepared, known versions dropped, analysed, stored with its alerts and cursor."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from connectors.base import SourceConfig
from index.contract import Batch, Rules, Saved
from index.engine import Engine
from listener import storing
from listener.alerts import is_history
from listener.metrics import Metrics
from listener.model import Analysis, Mention, Page, Record, Reject, Verbatim
from listener.privacy import pseudonymise
from nlp.batching import Batcher

LONGEST_TEXT = 100_000  # characters: three times the longest post of any place; search reads all of it at every hit
_ID = re.compile(r"[0-9a-f]{32}")


class Brands:
    """Brand from the words of a text, for mentions whose source names none."""

    def __init__(self, terms: Mapping[str, Sequence[str]]) -> None:
        self._patterns = [
            (brand, re.compile(r"(?<!\w)(?:" + "|".join(re.escape(term) for term in words) + r")(?!\w)", re.IGNORECASE))
            for brand, words in terms.items()
            if words
        ]

    def of(self, mention: Mention) -> str | None:
        """The first brand of the settings that the title or text names."""
        text = f"{mention.title or ''}\n{mention.text}"
        return next((brand for brand, pattern in self._patterns if pattern.search(text)), None)


@dataclass(frozen=True, slots=True)
class Ingest:
    """What every page goes through; one per service."""

    engine: Engine
    batcher: Batcher | None  # None: stored without analysis
    rules: Rules | None
    brands: Brands
    metrics: Metrics
    now: Callable[[], datetime]
    max_age: timedelta
    pseudonym_key: bytes | None = None
    unanalysed: str = "waiting"  # what becomes of mentions that are stored without analysis
    vectors: bool = True
    treat_as_live: bool = False  # `import --live`: nothing is history

    async def page(self, source: str, config: SourceConfig | None, page: Page, *, live: bool) -> Saved:
        """Store a page; gives what became of its mentions. Raises the engine's errors, its cursor is not stored then.

        A mention that cannot be kept as it is becomes a dead letter and holds up nothing.
        """
        start = time.perf_counter()
        keep_words = config is None or config.terms.may_store_text
        mentions, refused = self._sorted_out(page.mentions, keep_words)
        if refused:
            page = replace(page, mentions=tuple(mentions), rejects=(*page.rejects, *refused))
        known = await self.engine.known((mention.id, mention.version) for mention in mentions)
        fresh = [mention for mention in mentions if (mention.id, mention.version) not in known]
        outcomes = await self.outcomes(fresh, live=live)
        failures = {
            mention.id: str(outcome) or type(outcome).__name__
            for mention, outcome in zip(fresh, outcomes, strict=True)
            if isinstance(outcome, Exception)
        }
        records = tuple(
            self._allowed(Record(mention, outcome if isinstance(outcome, Analysis) else None), config)
            for mention, outcome in zip(fresh, outcomes, strict=True)
        )
        if config is not None and not config.terms.must_delete_on_signal:
            page = replace(page, deletions=())
        batch = Batch(source, page, records, self.now(), self.unanalysed, failures)
        saved = await storing.save(self.engine, batch, self.rules, keep_words=keep_words)
        saved = replace(saved, known=saved.known + len(mentions) - len(fresh))
        self._count(source, saved, len(failures), time.perf_counter() - start)
        return saved

    async def outcomes(self, mentions: Sequence[Mention], *, live: bool) -> Sequence[Analysis | Exception | None]:
        """The analysis of each mention, or its error, or None where nothing analyses."""
        if self.batcher is None or not mentions:
            return [None] * len(mentions)
        found = await self.batcher.analyse([verbatim(mention) for mention in mentions], live=live)
        if self.vectors:
            return found
        return [replace(outcome, vector=None) if isinstance(outcome, Analysis) else outcome for outcome in found]

    def _sorted_out(self, given: Sequence[Mention], keep_words: bool) -> tuple[list[Mention], list[Reject]]:
        """The mentions ready to be stored, and those that a connector may not hand on like this."""
        mentions, refused = [], []
        for mention in given:
            try:
                if not _ID.fullmatch(mention.id):
                    raise ValueError(f"the id is not 32 hex digits: {mention.id[:50]!r}")
                if len(mention.text) > LONGEST_TEXT:
                    raise ValueError(f"a text of {len(mention.text):,} characters: at most {LONGEST_TEXT:,} are taken")
                mentions.append(self._prepared(mention))
            except storing.FAULTS as error:
                refused.append(storing.reject(mention, str(error), keep_words))
        return mentions, refused

    def _prepared(self, mention: Mention) -> Mention:
        if mention.brand is None and (brand := self.brands.of(mention)):
            mention = replace(mention, brand=brand)
        if not self.treat_as_live and is_history(mention, self.max_age):
            mention = replace(mention, history=True)
        return pseudonymise(mention, self.pseudonym_key) if self.pseudonym_key else mention

    @staticmethod
    def _allowed(record: Record, config: SourceConfig | None) -> Record:
        """The record without its words where the place's terms forbid to store them."""
        if config is None or config.terms.may_store_text:
            return record
        analysis = record.analysis and replace(record.analysis, vector=None)
        return Record(replace(record.mention, text="", title=None, replies=()), analysis)

    def _count(self, source: str, saved: Saved, failures: int, seconds: float) -> None:
        for outcome in ("new", "updated", "known", "deleted"):
            self.metrics.mentions.labels(source, outcome).inc(getattr(saved, outcome))
        self.metrics.rejects.labels(source).inc(saved.rejected)
        self.metrics.unanalysed.labels(source).inc(failures)
        self.metrics.alerts.inc(saved.alerts)
        self.metrics.page_seconds.observe(seconds)


def verbatim(mention: Mention) -> Verbatim:
    """What the classifier reads of a mention."""
    return Verbatim(mention.text, mention.language, mention.kind, mention.rating)

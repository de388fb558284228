"""The limits of a query and of a read, one table for every engine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one query may ask; beyond it stands a QueryError that names the limit."""

    length: int = 2_000  # characters of a query's text
    clauses: int = 256  # words, phrases and field conditions in one query
    depth: int = 20  # parentheses and negations inside each other
    expansions: int = 1_000  # terms a prefix, wildcard or fuzzy word may stand for
    seconds: float = 2.0  # of one read
    page_size: int = 1_000  # mentions on one page
    scored: int = 10_000  # mentions scored for relevance: the newest of those that match
    relevance_window: int = 1_000  # how far relevance order pages
    facet_values: int = 1_000  # values of one facet


LIMITS = Limits()

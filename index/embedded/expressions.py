"""Words as FTS5 expressions: every token stands quoted, so that no syntax of FTS5 is reachable from a query."""

from collections.abc import Callable, Sequence

import apsw

from index import ast, tokens
from index.embedded.database import rows
from index.limits import Limits
from index.patterns import glob, literal_start, near
from listener.errors import QueryError

LAST = "\U0010ffff"  # above every character of a token


class Expressions:
    """Makes expressions for one connection, whose vocabulary and languages it looks up."""

    def __init__(self, connection: apsw.Connection, limits: Limits) -> None:
        self._connection, self._limits = connection, limits
        self._expansions = 0
        known = set(tokens.stem_languages())
        present = rows(connection, "SELECT value FROM word WHERE field = 'lang'")
        self._languages = sorted(language for (language,) in present if language in known)

    def exactly(self, node: ast.Node) -> str | None:
        """The FTS5 expression that is exactly this node, None where there is none."""
        match node:
            case ast.Boost(item, _):
                return self.exactly(item)
            case ast.Phrase(slop=0) as phrase:
                return self.phrase(phrase)
            case ast.Prefix(fields, prefix):
                return f"{_columns(fields)}: {_quoted(prefix)} *"
            case ast.Wildcard(fields, pattern):
                return self._any_of(fields, literal_start(pattern), lambda token: glob(pattern, token))
            case ast.Fuzzy(fields, term, distance):
                return self._any_of(fields, term[0], lambda token: near(term, token, distance))
            case ast.Or(items):
                parts = [self.exactly(item) for item in items]
                return None if None in parts else " OR ".join(f"({part})" for part in parts)
            case ast.And(items):
                return self._all_of(items)
        return None

    def _all_of(self, items: Sequence[ast.Node]) -> str | None:
        positive: list[str] = []
        negative: list[str] = []
        for item in items:
            inner = item.item if isinstance(item, ast.Not) else item
            part = self.exactly(inner)
            if part is None:
                return None
            (negative if isinstance(item, ast.Not) else positive).append(f"({part})")
        if not positive:
            return None
        expression = " AND ".join(positive)
        for part in negative:
            expression = f"({expression}) NOT {part}"
        return expression

    def phrase(self, phrase: ast.Phrase, near: int | None = None) -> str:
        """The words in either form; with `near` in any order within that distance."""

        def group(words: Sequence[str]) -> str:
            if near is None:
                return _quoted(" ".join(words))
            return f"NEAR({' '.join(_quoted(word) for word in words)}, {near})"

        parts = [f"{_columns(phrase.fields)}: {group(phrase.exact)}"]
        seen = set()
        for language in self._languages:
            stems = [tokens.stem(word, language) for word in phrase.words]
            if all(stems):
                seen.add(group([stem for stem in stems if stem]))
        if seen:
            parts.append(f"{_columns(phrase.fields, '_stem')}: ({' OR '.join(sorted(seen))})")
        return " OR ".join(parts)

    def candidates(self, phrase: ast.Phrase) -> str:
        """A superset of what holds a phrase with slop: its words near each other in any order."""
        return self.phrase(phrase, near=phrase.slop + len(phrase.exact))

    def _any_of(self, fields: Sequence[str], start: str, fits: Callable[[str], bool]) -> str:
        """The stored tokens that a pattern means, as alternatives."""
        names = ",".join(f"'{name}'" for name in fields)
        found = self._connection.execute(
            f"SELECT DISTINCT term FROM vocabulary WHERE term >= ? AND term < ? AND col IN ({names})",
            (start, start + LAST),
        )
        terms = []
        for (term,) in found:
            if fits(term):
                terms.append(_quoted(term))
                self._expansions += 1
                if self._expansions > self._limits.expansions:
                    raise QueryError(
                        f"the patterns of this query mean more than {self._limits.expansions} words: write more letters"
                    )
        return f"{_columns(fields)}: ({' OR '.join(terms)})" if terms else f"{_columns(fields)}: {_quoted(LAST)}"

    def leaves(self, node: ast.Node, factor: float = 1.0) -> list[tuple[str, float]]:
        """The expressions of all words that are not negated, with their boosts: what relevance is made of."""
        match node:
            case ast.Boost(item, more):
                return self.leaves(item, factor * more)
            case ast.And(items) | ast.Or(items):
                return [leaf for item in items for leaf in self.leaves(item, factor)]
            case ast.Segments(item):
                return self.leaves(item, factor)
            case ast.Phrase(slop=slop) as phrase if slop:
                return [(self.candidates(phrase), factor)]
        expression = None if isinstance(node, ast.Not) else self.exactly(node)
        return [(expression, factor)] if expression is not None else []


def _columns(fields: Sequence[str], suffix: str = "") -> str:
    return "{" + " ".join(name + suffix for name in fields) + "}"


def _quoted(words: str) -> str:
    return '"' + words.replace('"', '""') + '"'

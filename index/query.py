"""Query text to the tree of index.ast: Lucene syntax, every name, date and word resolved.

Every clause is required unless OR stands between; OR binds before the implicit AND (`a b OR c` is a AND (b OR c)),
AND before OR. `-`, `!` and NOT are one, `+` is neutral. Labels outside `segments:( )` hold in any segment.
"""

import threading
from collections.abc import Sequence
from datetime import datetime

from luqum import tree  # type: ignore[import-untyped]  # luqum ships no types
from luqum.exceptions import ParseError  # type: ignore[import-untyped]  # luqum ships no types
from luqum.parser import parser as grammar  # type: ignore[import-untyped]  # luqum ships no types

from index import dates
from index.ast import TEXT_FIELDS, All, And, Boost, Fuzzy, Node, Not, Or, Phrase, Prefix, Segments, Wildcard
from index.leaves import Leaves
from index.lexer import Lexeme, Lexer
from index.limits import LIMITS, Limits
from index.names import field_of
from listener.errors import QueryError
from listener.model import STEPS

_lock = threading.Lock()  # luqum's parser keeps state between calls


def parse(
    text: str,
    *,
    now: datetime,
    timezone: str = "UTC",
    journey_steps: Sequence[str] = STEPS,
    limits: Limits = LIMITS,
) -> Node:
    """The tree of a query; an empty one is All. Raises QueryError with the column of the fault.

    `now` (aware) and `timezone` (an IANA name) resolve dates; `journey_steps` are the steps that may be named.
    """
    if len(text) > limits.length:
        raise QueryError(f"the query has {len(text)} characters, more than the limit of {limits.length}", limits.length)
    lexemes = Lexer(text, limits, field_of).lexemes()
    if not lexemes:
        if text.strip():
            raise QueryError("nothing to search for", 0, "a word, a phrase or a field")
        return All()
    try:
        where = dates.zone(timezone)
    except ValueError as error:
        raise QueryError(str(error)) from error
    node = _Builder(Leaves(now, where, tuple(journey_steps)), limits).build(_tree(lexemes, len(text)))
    if node is None:
        raise QueryError("nothing to search for", lexemes[0].lexpos, "a word, a phrase or a field")
    return node


def _tree(lexemes: list[Lexeme], length: int) -> tree.Item:
    """luqum's tree of the lexemes."""
    given = iter(lexemes)
    taken: list[Lexeme | None] = []

    def following() -> Lexeme | None:
        taken.append(next(given, None))
        return taken[-1]

    with _lock:
        try:
            return grammar.parse(lexer=Lexeme("", None, 0, ""), tokenfunc=following)
        except ParseError as error:
            raise _mistake(taken, length) from error


def _mistake(taken: list[Lexeme | None], length: int) -> QueryError:
    """What is wrong at the last lexeme taken, in plain words."""
    before = next((lexeme for lexeme in reversed(taken[:-1]) if lexeme), None)
    fault = taken[-1] if taken else None
    column = fault.lexpos if fault else length
    wanted = "a word, a phrase, a field or a group in parentheses"
    if before and before.type in ("AND_OP", "OR_OP", "NOT"):
        return QueryError(f"nothing follows {before.text}", before.lexpos, f"{wanted} after it")
    if fault is None:
        return QueryError("the query ends too early", column, wanted)
    if fault.type in ("AND_OP", "OR_OP"):
        return QueryError(f"nothing stands before {fault.text}", column, f"{wanted} before it")
    if fault.type == "RPAREN" and before and before.type == "LPAREN":
        return QueryError("empty parentheses", before.lexpos, wanted)
    return QueryError(f"{fault.text!r} cannot stand here", column, wanted)


class _Builder:
    """Turns luqum's tree into ours; None stands for a clause of punctuation only."""

    def __init__(self, leaves: Leaves, limits: Limits) -> None:
        self.leaves, self.limits, self.clauses = leaves, limits, 0

    def build(self, item: tree.Item, field: str | None = None, bound: bool = False, depth: int = 0) -> Node | None:
        """`field` names whose values these are, `bound` whether they stand inside `segments:( )`."""
        if depth > 4 * self.limits.depth:
            raise QueryError(f"more than {self.limits.depth} levels inside each other", item.pos)
        if isinstance(item, tree.BaseGroup):
            return self.build(item.expr, field, bound, depth + 1)
        if isinstance(item, tree.Not | tree.Prohibit):
            inner = self.build(item.a, field, bound, depth + 2)
            return None if inner is None else Not(inner)
        if isinstance(item, tree.BaseOperation):
            return self._operation(item, field, bound, depth)
        if isinstance(item, tree.SearchField):
            return self._field(item, bound, depth)
        if isinstance(item, tree.Boost):
            inner = self.build(item.expr, field, bound, depth + 1)
            factor = float(item.force)
            if factor > 1000:
                raise QueryError("this weight is too large", item.pos, "a weight from 0 to 1000, as in delivery^2")
            return None if inner is None else Boost(inner, factor)
        self.clauses += 1
        if self.clauses > self.limits.clauses:
            raise QueryError(f"more than {self.limits.clauses} words and conditions", item.pos)
        return self.leaves.leaf(item, field, bound)

    def _operation(self, item: tree.BaseOperation, field: str | None, bound: bool, depth: int) -> Node | None:
        kind = Or if isinstance(item, tree.OrOperation) else And
        items: list[Node] = []
        for operand in item.operands:
            node = self.build(operand, field, bound, depth + 1)
            if isinstance(node, kind):
                items.extend(node.items)
            elif node is not None:
                items.append(node)
        if len(items) < 2:
            return items[0] if items else None
        return kind(tuple(items))

    def _field(self, item: tree.SearchField, bound: bool, depth: int) -> Node | None:
        field = field_of(item.name)
        assert field is not None  # the lexer lets no other pass
        if field != "segments":
            self.leaves.check_place(field, bound, item.pos)
            return self.build(item.expr, field, bound, depth + 1)
        if bound:
            raise QueryError("segments: inside segments:", item.pos, "labels and words of one segment")
        if isinstance(item.expr, tree.Word) and item.expr.value == "*":
            return Segments(All())
        inner = self.build(item.expr, None, True, depth + 1)
        return None if inner is None else Segments(inner)


def words(node: Node) -> str:
    """The free text of a query for meaning search: its positive words over the default fields, in order."""
    found: list[str] = []

    def walk(part: Node) -> None:
        if isinstance(part, And | Or):
            for item in part.items:
                walk(item)
        elif isinstance(part, Boost):
            walk(part.item)
        elif is_free_text(part):
            found.append(_written(part))

    walk(node)
    return " ".join(text.strip() for text in found if text.strip())


def without_words(node: Node) -> Node:
    """The query as a filter beside meaning search: what `words` takes is left out; All where nothing remains."""
    if is_free_text(node):
        return All()
    if isinstance(node, Boost):
        inner = without_words(node.item)
        return inner if isinstance(inner, All) else Boost(inner, node.factor)
    if isinstance(node, And):
        items = tuple(item for item in map(without_words, node.items) if not isinstance(item, All))
        return And(items) if len(items) > 1 else items[0] if items else All()
    if isinstance(node, Or):
        items = tuple(map(without_words, node.items))
        return All() if any(isinstance(item, All) for item in items) else Or(items)
    return node


def is_free_text(node: Node) -> bool:
    """Whether the node is a leaf of words over the default fields."""
    return isinstance(node, Phrase | Prefix | Wildcard | Fuzzy) and node.fields == TEXT_FIELDS


def _written(leaf: Node) -> str:
    if isinstance(leaf, Phrase):
        return leaf.text or " ".join(leaf.words)
    if isinstance(leaf, Prefix):
        return leaf.prefix
    if isinstance(leaf, Fuzzy):
        return leaf.term
    return leaf.pattern.replace("*", "").replace("?", "") if isinstance(leaf, Wildcard) else ""

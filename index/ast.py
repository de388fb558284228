"""The query as a tree, the same for every engine: parsed once, all names and instants resolved.

Dates are milliseconds since 1970; words are folded by index.tokens; labels are the keys of listener.model.
A leaf over segment labels stands inside `Segments`, whose conditions hold for one and the same segment.
"""

from dataclasses import dataclass, field

TEXT_FIELDS = ("text", "title")
KEYWORD_FIELDS = (
    "lang", "channel", "source", "kind", "brand", "product", "place", "audience", "author", "overall",
    "case", "owner", "model",
)  # fmt: skip
NUMBER_FIELDS = ("followers", "rating", "stars", "verified")
DATE_FIELDS = ("date", "received")
LABEL_FIELDS = ("sentiment", "emotion", "intent", "step", "effort")
IS_FLAGS = ("reply", "edited", "own", "uncertain", "unanalysed", "overdue")
HAS_FLAGS = ("url", "rating", "case")


class Node:
    """Base of all nodes."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class All(Node):
    """Every mention: the query `*`."""


@dataclass(frozen=True, slots=True)
class And(Node):
    """All of them."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or(Node):
    """At least one of them."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not(Node):
    """Not that one."""

    item: Node


@dataclass(frozen=True, slots=True)
class Boost(Node):
    """The item, weighing `factor` in relevance; the set of mentions stays the same."""

    item: Node
    factor: float


@dataclass(frozen=True, slots=True)
class Segments(Node):
    """One segment meets the item (text leaves: their words lie inside it); Segments(All()) is `segments:*`."""

    item: Node


@dataclass(frozen=True, slots=True)
class Phrase(Node):
    """Words in order, in either form: all `exact`, or all stems of the mention's language.

    One word is a phrase of one. `words` are the surface words that index.tokens.stem reduces per language,
    parallel to `exact`. `slop` is Lucene's: the total displacement allowed.
    """

    fields: tuple[str, ...]
    exact: tuple[str, ...]
    words: tuple[str, ...]
    slop: int = 0
    text: str = field(default="", compare=False)  # as the user wrote it, for meaning search


@dataclass(frozen=True, slots=True)
class Prefix(Node):
    """An exact token that starts so."""

    fields: tuple[str, ...]
    prefix: str


@dataclass(frozen=True, slots=True)
class Wildcard(Node):
    """An exact token of this pattern: `*` any characters, `?` one; the first character is literal."""

    fields: tuple[str, ...]
    pattern: str


@dataclass(frozen=True, slots=True)
class Fuzzy(Node):
    """An exact token within `distance` (1 or 2) edits, the first character unchanged."""

    fields: tuple[str, ...]
    term: str
    distance: int


@dataclass(frozen=True, slots=True)
class Keyword(Node):
    """A field that equals, folded, the value; a pattern where `pattern` is set (`*`, `?`, literal start)."""

    field: str
    value: str
    pattern: bool = False


@dataclass(frozen=True, slots=True)
class Range(Node):
    """A number or date between two bounds; None is open. `effort` counts as number of a segment."""

    field: str
    low: float | None
    high: float | None
    include_low: bool = True
    include_high: bool = True


@dataclass(frozen=True, slots=True)
class Exists(Node):
    """The field has a value: `field:*`."""

    field: str


@dataclass(frozen=True, slots=True)
class Flag(Node):
    """`is:name` or `has:name`; `name` is one of IS_FLAGS or `has_` + one of HAS_FLAGS."""

    name: str

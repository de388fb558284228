"""The tables of docs/ that are made from code: `python -m tools.docs_tables` writes them between their marks.

<!-- table: fields -->
...
<!-- end of table -->
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields as fields_of
from pathlib import Path

from connectors import registry
from index import names
from index.ast import DATE_FIELDS, KEYWORD_FIELDS, LABEL_FIELDS, NUMBER_FIELDS, TEXT_FIELDS
from index.limits import LIMITS
from listener import notifiers
from listener.errors import ListenerError
from listener.metrics import Metrics
from listener.model import STEPS

ROOT = Path(__file__).parents[1]
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)

FIELDS = {
    "text": "words of the text", "title": "words of the title", "lang": "language by its ISO 639 code",
    "channel": "where it was posted: x, bluesky, google, mail, ...", "source": "name of the source in the settings",
    "kind": "what it is", "brand": "brand it speaks of", "product": "product or app", "place": "shop, place or country",
    "audience": "customer segment, as the source gives it", "author": "handle, or name where there is no handle",
    "overall": "sentiment of the whole text", "case": "state of its case", "owner": "who owns its case",
    "model": "classifier that analysed it, as name@version", "followers": "followers of the author",
    "rating": "stars given, on a scale of 1 to 5", "stars": "stars as the classifier reads the text, 1 to 5",
    "verified": "whether the author is verified", "date": "when it was published", "received": "when it came here",
    "sentiment": "sentiment of a clause", "emotion": "emotion of a clause", "intent": "intent of a clause",
    "step": "journey step a clause speaks of", "effort": "effort of the customer in a clause, 1 to 5",
    "segments": "binds labels and words to one clause", "is": "a state, see below", "has": "a part, see below",
}  # fmt: skip
VALUES = {
    "length": "characters of a query", "clauses": "words, phrases and conditions in one query",
    "depth": "parentheses inside each other", "expansions": "words that a prefix, wildcard or fuzzy word stands for",
    "seconds": "seconds of one read", "page_size": "mentions on one page",
    "scored": "mentions scored for relevance: the newest of those that match",
    "relevance_window": "mentions that relevance order goes through", "facet_values": "values of one facet",
}  # fmt: skip


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _kind(field: str) -> str:
    kinds = {
        "words": TEXT_FIELDS, "keyword": KEYWORD_FIELDS, "number": NUMBER_FIELDS, "date": DATE_FIELDS,
        "label of a clause": LABEL_FIELDS,
    }  # fmt: skip
    if field == "verified":
        return "true or false"
    return next((kind for kind, held in kinds.items() if field in held), "-")


def fields() -> str:
    """Every field, its kind, its other names, what it holds."""
    aliases: dict[str, list[str]] = {}
    for alias, field in names._FIELDS.items():
        if alias not in names.FIELDS:
            aliases.setdefault(field, []).append(alias)
    rows = ((f"`{field}`", _kind(field), _code(aliases.get(field, ())), FIELDS[field]) for field in names.FIELDS)
    return _rows(("field", "kind", "also called", "holds"), rows)


def values() -> str:
    """Every field with fixed values, each value with its other names."""
    rows = []
    tables: dict[str, Mapping[str, str]] = {**names._VALUES, "step": names._table(STEPS, names._STEPS)}
    for field, table in tables.items():
        for key in dict.fromkeys(table.values()):
            rows.append((f"`{field}:{key}`", _code(name for name, of in table.items() if of == key and name != key)))
    return _rows(
        ("condition", "also written"), sorted(rows, key=lambda row: names.FIELDS.index(row[0][1:].split(":")[0]))
    )


def limits() -> str:
    """Every limit of a query."""
    rows = ((f"`{item.name}`", f"{getattr(LIMITS, item.name):,}", VALUES[item.name]) for item in fields_of(LIMITS))
    return _rows(("limit", "value", "of what"), rows)


def metrics() -> str:
    """Every metric of /metrics."""
    rows = []
    for family in Metrics().registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        rows.append((f"`{name}`", family.type, _code(LABELS.get(family.name, ())), family.documentation))
    return _rows(("metric", "type", "labels", "meaning"), rows)


LABELS = {counter._name: counter._labelnames for counter in vars(Metrics()).values() if hasattr(counter, "_labelnames")}


def connectors() -> str:
    """Every built-in connector, and how it is fed."""
    rows = []
    for name in sorted(registry.BUILT_IN):
        found = registry.load(name)
        fed = "pushed" if found.push else "polled" if found.live else "read as an import"
        rows.append((f"`{name}`", fed, _summary(sys.modules[found.__module__].__doc__)))
    return _rows(("connector", "how it is fed", "what it reads"), rows)


def destinations() -> str:
    """Every built-in notifier."""
    rows = (
        (f"`{name}`", _summary(sys.modules[notifiers.load(name).__module__].__doc__)) for name in notifiers.NOTIFIERS
    )
    return _rows(("type", "where it delivers"), rows)


def errors() -> str:
    """Every error this service raises on purpose."""
    found: list[type[ListenerError]] = [ListenerError]
    for kind in found:
        found += kind.__subclasses__()
    ours = (kind for kind in found if kind.__module__ == "listener.errors")
    return _rows(
        ("error", "what the caller does next"), ((f"`{kind.__name__}`", _summary(kind.__doc__)) for kind in ours)
    )


def _summary(text: str | None) -> str:
    return " ".join((text or "").strip().split("\n\n")[0].split()).rstrip(".")


TABLES: Mapping[str, Callable[[], str]] = {
    "fields": fields, "values": values, "limits": limits, "metrics": metrics, "connectors": connectors,
    "destinations": destinations, "errors": errors,
}  # fmt: skip


def filled(page: str) -> str:
    """The page with every marked table made anew."""
    return MARKED.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}\n{match[3]}", page)


def main() -> None:
    """Fill all pages."""
    for path in sorted((ROOT / "docs").glob("*.md")):
        page = path.read_text("utf8")
        if (now := filled(page)) != page:
            path.write_text(now, "utf8")


if __name__ == "__main__":
    main()

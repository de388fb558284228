"""Stored queries match a mention exactly when evaluating them one by one says so."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from index.ast import Node
from index.document import Document
from index.evaluate import evaluate
from index.percolate import Percolator
from index.query import parse
from listener.model import Mention, Record, to_ms
from tests.strategies import NOW, nodes, query_texts, records


def _expected(queries: list[tuple[str, Node]], document: Document) -> list[tuple[str, bool]]:
    return [(name, evaluate(node, document, certain=True)) for name, node in queries if evaluate(node, document)]


@settings(max_examples=100, deadline=None)
@given(st.lists(nodes(), min_size=1, max_size=8), records())
def test_generated_trees_match_as_evaluated(trees: list[Node], record: Record) -> None:
    queries = [(str(place), node) for place, node in enumerate(trees)]
    document = Document(record)
    assert Percolator(queries).match(document) == _expected(queries, document)


@settings(max_examples=100, deadline=None)
@given(st.lists(query_texts(), min_size=1, max_size=8), records())
def test_written_queries_match_as_evaluated(texts: list[str], record: Record) -> None:
    queries = [(text, parse(text, now=NOW)) for text in texts]
    document = Document(record)
    assert Percolator(queries).match(document) == _expected(queries, document)


def _mention(text: str) -> Document:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return Document(Record(Mention("1", "1", "s", "post", "x", text, at, at, to_ms(at), language="en")))


def test_a_query_is_a_candidate_only_where_its_rarest_condition_holds() -> None:
    queries = [("word", "delivery channel:x"), ("brand", "brand:acme late"), ("always", "-late"), ("prefix", "deliv*")]
    percolator = Percolator([(name, parse(text, now=NOW)) for name, text in queries])
    names = [queries[place][0] for place in percolator.candidates(_mention("late deliveries"))]
    assert names == ["word", "brand", "always", "prefix"]
    assert [queries[place][0] for place in percolator.candidates(_mention("all is well"))] == ["always"]


def test_both_parts_of_an_or_make_a_candidate() -> None:
    percolator = Percolator([("either", parse("parcel OR lang:fr OR delivery", now=NOW))])
    assert percolator.match(_mention("my parcel")) == [("either", True)]
    assert percolator.match(_mention("my delivery")) == [("either", True)]
    assert percolator.candidates(_mention("my order")) == []


def test_no_queries_match_nothing() -> None:
    assert Percolator([]).match(_mention("late")) == []


def test_texts_are_cut_into_words_only_where_a_query_asks_for_a_word() -> None:
    document = _mention("late again")
    assert Percolator([("labels", parse("channel:x rating:<3", now=NOW))]).match(document) == []
    assert "words" not in vars(document)
    assert Percolator([("word", parse("late", now=NOW))]).match(document) == [("word", True)]
    assert "words" in vars(document)


def test_a_condition_that_queries_share_holds_for_each_of_them() -> None:
    queries = [
        (name, parse(text, now=NOW)) for name, text in (("a", "late -well"), ("b", "-well late"), ("c", "-late"))
    ]
    percolator = Percolator(queries)
    assert percolator.match(_mention("late again")) == [("a", True), ("b", True)]
    assert percolator.match(_mention("all is well")) == [("c", True)]

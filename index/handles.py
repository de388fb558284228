"""Handles in a query as they are stored: where authors are pseudonyms, people still ask for the name they know."""

from collections.abc import Callable

from index import ast


def with_stored_handles(node: ast.Node, stored: Callable[[str], str]) -> ast.Node:
    """The tree with every `author:` value as it is stored; patterns speak of the stored form already."""
    match node:
        case ast.Keyword("author", value, False):
            return ast.Keyword("author", stored(value))
        case ast.And(items):
            return ast.And(tuple(with_stored_handles(item, stored) for item in items))
        case ast.Or(items):
            return ast.Or(tuple(with_stored_handles(item, stored) for item in items))
        case ast.Not(item):
            return ast.Not(with_stored_handles(item, stored))
        case ast.Boost(item, factor):
            return ast.Boost(with_stored_handles(item, stored), factor)
    return node

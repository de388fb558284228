"""Where the words of a phrase stand in a list of tokens, as Lucene counts slop."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence


def occurrences(
    terms: Sequence[str], places: Mapping[str, Sequence[int]], slop: int, first: int, last: int
) -> Iterator[tuple[int, ...]]:
    """Positions of the terms, each time they stand together within `first <= position < last`.

    `places` gives the sorted positions of each token. With slop 0 the terms follow one another. Otherwise
    max(p_i - i) - min(p_i - i) <= slop, where a term that is asked for twice stands at two positions.
    """
    lists = [places.get(term) for term in terms]
    if any(not found for found in lists):
        return
    if len(terms) == 1:
        for place in lists[0] or ():
            if first <= place < last:
                yield (place,)
    elif slop == 0:
        yield from _adjacent([found or () for found in lists], first, last)
    else:
        yield from _near(terms, [found or () for found in lists], slop, first, last)


def _adjacent(lists: Sequence[Sequence[int]], first: int, last: int) -> Iterator[tuple[int, ...]]:
    rarest = min(range(len(lists)), key=lambda i: len(lists[i]))
    sets = [frozenset(found) if i != rarest else frozenset() for i, found in enumerate(lists)]
    for place in lists[rarest]:
        start = place - rarest
        inside = first <= start and start + len(lists) <= last
        if inside and all(i == rarest or start + i in sets[i] for i in range(len(lists))):
            yield tuple(range(start, start + len(lists)))


def _near(
    terms: Sequence[str], lists: Sequence[Sequence[int]], slop: int, first: int, last: int
) -> Iterator[tuple[int, ...]]:
    """For each least shift `low`: every term takes its earliest free position p with low <= p - i <= low + slop.

    The windows of one repeated term are equally long and begin one after another: taking the earliest is best.
    """
    lows = sorted({place - i for i, found in enumerate(lists) for place in found if first <= place < last})
    for low in lows:
        taken: dict[str, int] = {}
        chosen: list[int] = []
        for i, (term, found) in enumerate(zip(terms, lists, strict=True)):
            least = max(low + i, first, taken.get(term, -1) + 1)
            at = bisect_left(found, least)
            if at == len(found) or found[at] > low + slop + i or found[at] >= last:
                break
            taken[term] = found[at]
            chosen.append(found[at])
        else:
            if min(place - i for i, place in enumerate(chosen)) == low:
                yield tuple(chosen)

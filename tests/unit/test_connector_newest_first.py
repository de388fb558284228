"""The walk over a newest-first listing, against every way of being interrupted."""

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.newest_first import Listed, Listing, NewestFirst, Step

PAGE = 4


class Board:
    """Posts as (time, key); listed newest first, four a page."""

    def __init__(self) -> None:
        self.posts: list[tuple[int, str]] = []

    def add(self, at: int, key: str) -> None:
        self.posts.append((at, key))

    async def fetch(self, number: int) -> Listing[str]:
        newest = sorted(self.posts, key=lambda post: (-post[0], post[1]))[(number - 1) * PAGE : number * PAGE]
        return Listing([Listed(at, key, key) for at, key in newest], last=not newest)


async def walk(
    board: Board, state: str | None, most_steps: int, recent: int, pages: int = 1000
) -> tuple[list[Step[str]], str | None]:
    found: list[Step[str]] = []
    listing = NewestFirst[str](json.loads(state) if state else None, recent, timedelta(milliseconds=50))
    async for step in listing.walk(board.fetch, pages):
        found.append(step)
        state = json.dumps(step.state)
        if len(found) == most_steps:
            break
    return found, state


@settings(max_examples=300, deadline=None)
@given(
    start=st.integers(0, 30),
    turns=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 9), st.integers(1, 3)), max_size=8),
    recent=st.sampled_from([25, 1000]),
)
async def test_interrupted_anywhere_with_arrivals_nothing_is_lost_or_repeated(
    start: int, turns: list[tuple[int, int, int]], recent: int
) -> None:
    board, clock, state, handed = Board(), 1000, None, list[str]()
    for number in range(start):
        clock += number % 3  # posts of one moment among them
        board.add(clock, f"s{number}")
    for turn, (steps, arrivals, pace) in enumerate(turns):
        found, state = await walk(board, state, steps, recent)
        handed += [key for step in found for key in step.posts]
        clock += 1
        for number in range(arrivals):
            clock += (number % 2) * pace
            board.add(clock, f"t{turn}.{number}")
    found, state = await walk(board, state, 10**6, recent)
    handed += [key for step in found for key in step.posts]
    assert sorted(handed) == sorted(key for _, key in board.posts)
    again, _ = await walk(board, state, 10**6, recent)
    assert not [key for step in again for key in step.posts]


async def test_a_post_dated_back_is_still_found_within_the_overlap() -> None:
    board = Board()
    for number in range(10):
        board.add(1000 + number, f"p{number}")
    _, state = await walk(board, None, 10**6, 1000)
    board.add(1001, "late")
    found, _ = await walk(board, state, 10**6, 1000)
    assert [key for step in found for key in step.posts] == ["late"]


async def test_a_page_limit_before_the_checkpoint_leaves_a_hole_that_is_told() -> None:
    board = Board()
    board.add(1000, "old")
    found, state = await walk(board, None, 10**6, 1000, pages=2)
    assert [step.holes for step in found if step.holes] == []
    for number in range(20):
        board.add(2000 + number * 10, f"p{number}")
    found, state = await walk(board, state, 10**6, 1000, pages=2)
    assert [hole for step in found for hole in step.holes] == [(1000, 2120)]
    found, _ = await walk(board, state, 10**6, 1000, pages=2)
    assert found == []


async def test_an_interrupted_walk_cut_by_the_limit_tells_the_hole_between_its_parts() -> None:
    board = Board()
    board.add(1000, "old")
    _, state = await walk(board, None, 10**6, 1000, pages=2)
    for number in range(12):
        board.add(2000 + number * 10, f"p{number}")
    _, state = await walk(board, state, 1, 1000, pages=2)
    for number in range(20):
        board.add(5000 + number * 10, f"q{number}")
    found, _ = await walk(board, state, 10**6, 1000, pages=2)
    assert [hole for step in found for hole in step.holes] == [(2110, 5120), (1000, 2080)]


async def test_the_state_stays_small() -> None:
    board = Board()
    for number in range(3000):
        board.add(1000 + number, f"p{number}")
    _, state = await walk(board, None, 10**6, 100)
    assert state is not None
    assert len(state) < 4000


@pytest.mark.parametrize("recent", [1, 5])
async def test_forgotten_keys_are_still_known_by_their_time(recent: int) -> None:
    board = Board()
    for number in range(200):
        board.add(1000 + number * 10, f"p{number}")
    _, state = await walk(board, None, 10**6, recent)
    found, _ = await walk(board, state, 10**6, recent)
    assert not [key for step in found for key in step.posts]

"""The batcher: batches under load, live first, bounded, cancellable."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from listener.errors import Overloaded, TemporaryError
from listener.model import Analysis, Explanation, Verbatim
from nlp.batching import Batcher
from nlp.fake import RuleClassifier


class GatedClassifier(RuleClassifier):
    """The keyword classifier behind a gate: a batch waits in the worker until the test lets it go."""

    def __init__(self, open_at_first: bool = False) -> None:
        self.gate = threading.Event()
        self.batches: list[list[str]] = []
        self.threads: set[int] = set()
        if open_at_first:
            self.gate.set()

    def cost(self, verbatim: Verbatim) -> int:
        return 1 if len(verbatim.text) < 50 else 50

    def analyse(self, verbatims: Sequence[Verbatim]) -> list[Analysis | Exception]:
        self.batches.append([verbatim.text for verbatim in verbatims])
        self.threads.add(threading.get_ident())
        assert self.gate.wait(10)
        if any(verbatim.text == "poison" for verbatim in verbatims):
            raise MemoryError("poison")
        return super().analyse(verbatims)

    def explain(self, verbatim: Verbatim, analysis: Analysis) -> list[Explanation]:
        self.threads.add(threading.get_ident())
        return super().explain(verbatim, analysis)


async def _until(condition: object) -> None:
    for _ in range(500):
        if condition():  # type: ignore[operator]
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never came true")


def _verbatims(*texts: str) -> list[Verbatim]:
    return [Verbatim(text) for text in texts]


async def test_outcomes_come_in_the_order_of_the_texts() -> None:
    async with Batcher(RuleClassifier(), token_budget=10, capacity=3) as batcher:
        outcomes = await batcher.analyse(_verbatims(*["bad"] * 5, *["good"] * 5))
    assert [o.sentiment.label for o in outcomes if isinstance(o, Analysis)] == ["negative"] * 5 + ["positive"] * 5


async def test_requests_that_come_while_the_worker_is_busy_form_one_batch() -> None:
    classifier = GatedClassifier()
    async with Batcher(classifier) as batcher:
        first = asyncio.create_task(batcher.analyse(_verbatims("first")))
        await _until(lambda: classifier.batches)
        others = [asyncio.create_task(batcher.analyse(_verbatims(f"other {n}"))) for n in range(5)]
        await _until(lambda: batcher.waiting == 5)
        classifier.gate.set()
        await asyncio.gather(first, *others)
    assert classifier.batches == [["first"], [f"other {n}" for n in range(5)]]


async def test_inference_never_runs_on_the_event_loop_and_always_in_one_thread() -> None:
    classifier = GatedClassifier(open_at_first=True)
    async with Batcher(classifier) as batcher:
        (analysis,) = await batcher.analyse(_verbatims("bad delivery"))
        assert isinstance(analysis, Analysis)
        assert await batcher.explain(Verbatim("bad delivery"), analysis)
        assert await batcher.embed(["x"]) == classifier.embed(["x"])
    assert threading.get_ident() not in classifier.threads
    assert len(classifier.threads) == 1


async def test_a_batch_keeps_to_the_token_budget_and_a_longer_text_goes_alone() -> None:
    classifier = GatedClassifier(open_at_first=True)
    long = "long " * 20
    async with Batcher(classifier, token_budget=3) as batcher:
        await batcher.analyse(_verbatims("a", "b", "c", "d", long, "e"))
    assert classifier.batches == [["a", "b", "c"], ["d"], [long], ["e"]]


async def test_live_texts_pass_before_imports_that_wait() -> None:
    classifier = GatedClassifier()
    async with Batcher(classifier, token_budget=2) as batcher:
        running = asyncio.create_task(batcher.analyse(_verbatims("running")))
        await _until(lambda: classifier.batches)
        imports = asyncio.create_task(batcher.analyse(_verbatims("i1", "i2", "i3"), live=False))
        await _until(lambda: batcher.waiting == 3)
        live = asyncio.create_task(batcher.analyse(_verbatims("l1", "l2", "l3")))
        await _until(lambda: batcher.waiting == 6)
        classifier.gate.set()
        await asyncio.gather(running, imports, live)
    assert classifier.batches == [["running"], ["l1", "l2"], ["l3", "i1"], ["i2", "i3"]]


async def test_live_texts_get_the_room_that_comes_free_before_imports() -> None:
    classifier = GatedClassifier()
    async with Batcher(classifier, token_budget=1, capacity=1) as batcher:
        running = asyncio.create_task(batcher.analyse(_verbatims("running")))
        await _until(lambda: classifier.batches)
        imports = asyncio.create_task(batcher.analyse(_verbatims("i1", "i2", "i3"), live=False))
        await _until(lambda: batcher.waiting == 1)
        live = asyncio.create_task(batcher.analyse(_verbatims("l1", "l2")))
        await asyncio.sleep(0.02)
        classifier.gate.set()
        await asyncio.gather(running, imports, live)
    order = [text for batch in classifier.batches for text in batch]
    assert order[:2] == ["running", "i1"]  # i1 held the only place
    assert order.index("l2") < order.index("i2")


async def test_never_more_texts_wait_than_the_capacity() -> None:
    classifier = GatedClassifier()
    async with Batcher(classifier, token_budget=1, capacity=3) as batcher:
        task = asyncio.create_task(batcher.analyse(_verbatims(*[f"t{n}" for n in range(12)])))
        await _until(lambda: classifier.batches)
        await asyncio.sleep(0.05)
        assert batcher.waiting == 3
        classifier.gate.set()
        assert len(await task) == 12


async def test_a_full_queue_refuses_at_once_whoever_does_not_want_to_wait() -> None:
    classifier = GatedClassifier()
    async with Batcher(classifier, token_budget=1, capacity=2) as batcher:
        task = asyncio.create_task(batcher.analyse(_verbatims("running", "w1", "w2")))
        await _until(lambda: classifier.batches and batcher.waiting == 2)
        with pytest.raises(Overloaded) as caught:
            await batcher.analyse(_verbatims("too much"), wait=False)
        assert caught.value.retry_after
        classifier.gate.set()
        await task
        assert len(await batcher.analyse(_verbatims("fits"), wait=False)) == 1


async def test_cancelling_a_caller_drops_its_waiting_texts_and_frees_their_room() -> None:
    classifier = GatedClassifier()
    async with Batcher(classifier, capacity=2) as batcher:
        running = asyncio.create_task(batcher.analyse(_verbatims("running")))
        await _until(lambda: classifier.batches)
        cancelled = asyncio.create_task(batcher.analyse(_verbatims("c1", "c2", "c3")))
        await _until(lambda: batcher.waiting == 2)
        patient = asyncio.create_task(batcher.analyse(_verbatims("p1")))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await _until(lambda: batcher.waiting == 1)
        classifier.gate.set()
        await asyncio.gather(running, patient)
    assert classifier.batches == [["running"], ["p1"]]


async def test_a_batch_that_fails_as_a_whole_gives_an_error_to_the_guilty_text_only() -> None:
    classifier = GatedClassifier(open_at_first=True)
    async with Batcher(classifier) as batcher:
        first, guilty, last = await batcher.analyse(_verbatims("good", "poison", "bad"))
    assert isinstance(first, Analysis)
    assert isinstance(guilty, MemoryError)
    assert isinstance(last, Analysis)


async def test_closing_finishes_the_batch_that_runs_and_tells_those_who_wait() -> None:
    classifier = GatedClassifier()
    batcher = Batcher(classifier)
    running = asyncio.create_task(batcher.analyse(_verbatims("running")))
    await _until(lambda: classifier.batches)
    waiting = asyncio.create_task(batcher.analyse(_verbatims("waiting")))
    await _until(lambda: batcher.waiting == 1)
    closing = asyncio.create_task(batcher.close())
    await asyncio.sleep(0.01)
    classifier.gate.set()
    await closing
    assert len(await running) == 1
    with pytest.raises(TemporaryError):
        await waiting
    with pytest.raises(TemporaryError):
        await batcher.analyse(_verbatims("late"))

"""Batches that form under load: while the worker thread is busy requests gather, when it is free it takes what fits.

There is no timer: a lone request starts at once. Inference never runs on the event loop.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from listener.errors import Overloaded, TemporaryError
from listener.model import Analysis, Explanation, Verbatim
from nlp.classifier import Classifier

Outcome = Analysis | Exception
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Item:
    verbatim: Verbatim
    cost: int
    outcome: asyncio.Future[Outcome]


class Batcher:
    """One worker thread around a classifier, for one event loop.

    A batch holds at most `token_budget` pieces (one longer text goes alone): live texts first, the rest of the
    budget filled with imports, so that imports advance under live load too. At most `capacity` texts wait.
    """

    def __init__(self, classifier: Classifier, token_budget: int = 4096, capacity: int = 2000) -> None:
        if token_budget < 1 or capacity < 1:
            raise ValueError("token_budget and capacity are at least 1")
        self._classifier, self._budget, self._capacity = classifier, token_budget, capacity
        self._live: deque[_Item] = deque()
        self._imports: deque[_Item] = deque()
        self._live_callers = 0  # live callers that wait for room: they pass before imports
        self._embedding = 0
        self._room = asyncio.Event()  # replaced after each set: whoever waits on the old one wakes once
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="classifier")
        self._loop_task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def name(self) -> str:
        """Name and version of the model inside."""
        return self._classifier.name

    @property
    def waiting(self) -> int:
        """How many texts wait for the worker now."""
        return len(self._live) + len(self._imports)

    async def analyse(
        self, verbatims: Sequence[Verbatim], live: bool = True, wait: bool = True
    ) -> list[Analysis | Exception]:
        """One outcome per verbatim, in order.

        When the queue is full it awaits room; with `wait=False` it raises `Overloaded` instead, and takes none of
        them. Cancelling the caller drops its waiting texts. Raises TemporaryError once closed.
        """
        self._refuse_when_closed()
        if not wait and self.waiting + len(verbatims) > self._capacity:
            raise Overloaded(f"{self.waiting} texts wait for the classifier already", retry_after=1.0)
        items: list[_Item] = []
        try:
            for verbatim in verbatims:
                if self.waiting >= self._capacity or (not live and self._live_callers):
                    await self._until_room(live)
                items.append(self._enqueue(verbatim, live))
            return [await item.outcome for item in items]
        except BaseException:
            self._drop(items)
            raise

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Query vectors, after the batch that runs now; raises `Overloaded` when `capacity` texts wait for it."""
        self._refuse_when_closed()
        if self._embedding + len(texts) > self._capacity:
            raise Overloaded("too many texts wait for their vector", retry_after=1.0)
        self._embedding += len(texts)
        try:
            return await self._in_worker(lambda: self._classifier.embed(texts))
        finally:
            self._embedding -= len(texts)

    async def explain(self, verbatim: Verbatim, analysis: Analysis) -> list[Explanation]:
        """The spans behind an analysis, after the batch that runs now."""
        self._refuse_when_closed()
        return await self._in_worker(lambda: self._classifier.explain(verbatim, analysis))

    async def close(self) -> None:
        """Finish the batch that runs; whoever still waits gets a TemporaryError."""
        self._closed = True
        for item in self._take_all():
            if not item.outcome.done():
                item.outcome.set_exception(TemporaryError("the classifier is closing"))
        self._wake()
        if self._loop_task is not None:
            await asyncio.gather(self._loop_task, return_exceptions=True)
        await asyncio.to_thread(self._worker.shutdown)

    async def __aenter__(self) -> "Batcher":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise TemporaryError("the classifier is closed")

    async def _in_worker(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, call)

    def _enqueue(self, verbatim: Verbatim, live: bool) -> _Item:
        loop = asyncio.get_running_loop()
        item = _Item(verbatim, max(1, self._classifier.cost(verbatim)), loop.create_future())
        (self._live if live else self._imports).append(item)
        if self._loop_task is None or self._loop_task.done():
            self._loop_task = loop.create_task(self._run(), name="classifier batches")
        return item

    async def _until_room(self, live: bool) -> None:
        self._live_callers += live
        try:
            while self.waiting >= self._capacity or (not live and self._live_callers):
                await self._room.wait()
                self._refuse_when_closed()
        finally:
            self._live_callers -= live
            if live and not self._live_callers:
                self._wake()  # imports that stood back may go on

    def _wake(self) -> None:
        self._room.set()
        self._room = asyncio.Event()

    def _drop(self, items: Iterable[_Item]) -> None:
        dropped = {id(item) for item in items if not item.outcome.done()}
        for item in items:
            if id(item) in dropped:
                item.outcome.cancel()
            elif not item.outcome.cancelled():
                item.outcome.exception()  # seen: the caller is gone, nothing is left to warn about
        if dropped:
            self._live = deque(item for item in self._live if id(item) not in dropped)
            self._imports = deque(item for item in self._imports if id(item) not in dropped)
            self._wake()

    def _take_all(self) -> list[_Item]:
        items = [*self._live, *self._imports]
        self._live.clear()
        self._imports.clear()
        return items

    def _take(self) -> list[_Item]:
        """The next batch: from the head of each queue as long as the budget holds, at least one text."""
        batch: list[_Item] = []
        left = self._budget
        for queue in (self._live, self._imports):
            while queue and (not batch or queue[0].cost <= left):
                batch.append(queue.popleft())
                left -= batch[-1].cost
        return batch

    async def _run(self) -> None:
        while batch := self._take():
            self._wake()
            outcomes = await self._in_worker(lambda batch=batch: self._compute([i.verbatim for i in batch]))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            for item, outcome in zip(batch, outcomes, strict=True):
                if not item.outcome.done():
                    item.outcome.set_result(outcome)

    def _compute(self, verbatims: list[Verbatim]) -> list[Outcome]:
        """In the worker thread: a batch that fails as a whole is tried text by text, to find the guilty one."""
        try:
            outcomes = self._classifier.analyse(verbatims)
            if len(outcomes) != len(verbatims):
                raise RuntimeError(f"{self.name} gave {len(outcomes)} outcomes for {len(verbatims)} texts")
            return outcomes
        except Exception as error:
            if len(verbatims) == 1:
                return [error]
            return [outcome for verbatim in verbatims for outcome in self._compute([verbatim])]

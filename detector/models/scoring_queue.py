"""One scoring queue for everybody: a batch each in turn, so that nobody waits for a long clip.

The networks use all cores (or the GPU) for one batch; running several at once would only make
each slower. So one thread scores, and takes a batch from each analysis that waits, round robin.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from detector.concurrency import threads
from detector.concurrency.fair_queue import FairQueue
from detector.models.scorer import Crops, Logits, Scorer


@dataclass(frozen=True)
class ScoredBatch:
    """What the networks gave for one batch.

    Attributes:
        logits: float32 [n] for each network's name.
        seconds: that the networks took.
    """

    logits: dict[str, Logits]
    seconds: float


_Waiting = tuple[Crops, "Future[ScoredBatch]"]


class ScoringQueue:
    """The queue of one scorer. Batches of one analysis keep their order.

    Args:
        scorer: shared by all.
    """

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self._line: FairQueue[_Waiting] = FairQueue()
        self._started = threading.Lock()
        self._thread: threading.Thread | None = None

    def join(self) -> QueueClient:
        """Return a place in the line for one analysis; use it as a context manager."""
        with self._started:
            if self._thread is None:
                self._thread = threads.start(self._serve, "scoring", self._line.close)
        return QueueClient(self._line)

    def _serve(self) -> None:
        while (waiting := self._line.get()) is not None:
            crops, answer = waiting
            if not answer.set_running_or_notify_cancel():
                continue
            started = time.perf_counter()
            try:
                logits = self.scorer.logits(crops)
            except BaseException as error:  # belongs to the analysis, not to the queue
                answer.set_exception(error)
            else:
                answer.set_result(ScoredBatch(logits, time.perf_counter() - started))
            del crops, answer, waiting


class QueueClient:
    """One analysis' place in the line."""

    def __init__(self, line: FairQueue[_Waiting]) -> None:
        self._line = line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()

    def submit(self, crops: Crops) -> Future[ScoredBatch]:
        """Ask for the logits of crops uint8 [n, s, s, 3]; at most the scorer's `batch` is fair."""
        answer: Future[ScoredBatch] = Future()
        self._line.put(self, (crops, answer))
        return answer

    def leave(self) -> None:
        """Drop what still waits, for an analysis that was stopped."""
        for _, answer in self._line.remove(self):
            answer.cancel()

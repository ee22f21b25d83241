"""Fair, in order, and no error reaches a neighbour."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from typing import Any

import numpy as np
import pytest

from detector.concurrency.fair_queue import FairQueue
from detector.models.scoring_queue import ScoringQueue
from tests.helpers.processes import python
from tests.helpers.stand_ins import BrightnessScorer

TIMEOUT = 60


def taken(queue: FairQueue[str]) -> list[str]:
    return [str(queue.get()) for _ in range(len(queue))]


@pytest.mark.parametrize(
    ("items", "order"),
    [
        ("a1 a2 a3", "a1 a2 a3"),
        ("a1 a2 a3 b1", "a1 b1 a2 a3"),
        ("a1 a2 a3 b1 b2 c1", "a1 b1 c1 a2 b2 a3"),
        ("a1 b1 a2 b2 a3 b3", "a1 b1 a2 b2 a3 b3"),
        ("", ""),
    ],
)
def test_each_owner_in_turn(items: str, order: str) -> None:
    queue: FairQueue[str] = FairQueue()
    for item in items.split():
        queue.put(item[0], item)
    foreseen = sorted(items.split(), key=lambda item: queue.ahead(item[0], item) or 0)
    assert [queue.ahead(item[0], item) for item in foreseen] == list(range(len(foreseen)))
    assert foreseen == order.split(), "what people are told is what happens"
    assert taken(queue) == order.split()


def test_who_comes_late_waits_for_one_item_not_for_all() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(5):
        queue.put("a", f"a{number}")
    assert queue.get() == "a0"
    queue.put("b", "b0")
    assert queue.ahead("b", "b0") == 1
    assert [queue.get(), queue.get()] == ["a1", "b0"]


def test_what_is_removed_is_not_taken() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "b1", "a2"):
        queue.put(item[0], item)
    assert queue.remove("a") == ("a1", "a2")
    assert queue.remove("a") == ()
    assert queue.ahead("a", "a1") is None
    assert taken(queue) == ["b1"]


def test_closing_lets_everybody_go() -> None:
    queue: FairQueue[str] = FairQueue()
    got: list[Any] = []
    threads = [threading.Thread(target=lambda: got.append(queue.get())) for _ in range(3)]
    for thread in threads:
        thread.start()
    queue.close()
    for thread in threads:
        thread.join(TIMEOUT)
    assert got == [None] * 3


class Noting(BrightnessScorer):
    """Scores when the gate is open, and notes how bright each batch was."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.seen: list[int] = []
        self.threads: set[int] = set()

    def logits(self, crops: np.ndarray) -> dict[str, np.ndarray]:
        self.begun.release()
        assert self.gate.acquire(timeout=TIMEOUT)
        self.threads.add(threading.get_ident())
        self.seen.append(int(crops[0, 0, 0, 0]))
        if self.seen[-1] == 13:
            raise ValueError("this batch only")
        return super().logits(crops)


def batch(brightness: int, count: int = 2) -> np.ndarray:
    return np.full((count, 4, 4, 3), brightness, np.uint8)


def test_a_short_clip_overtakes_a_long_one_batch_by_batch() -> None:
    scorer = Noting()
    scoring = ScoringQueue(scorer)
    with scoring.join() as long, scoring.join() as short:
        first = [long.submit(batch(number)) for number in range(4)]
        assert scorer.begun.acquire(timeout=TIMEOUT)
        second = [short.submit(batch(100 + number)) for number in range(2)]
        scorer.gate.release(6)
        answers = [future.result(TIMEOUT) for future in first + second]
    assert scorer.seen == [0, 1, 100, 2, 101, 3]
    assert [float(a.logits["resnet50"][0]) for a in answers] == pytest.approx(
        [0, 0.01, 0.02, 0.03, 1.0, 1.01]
    )
    assert len(scorer.threads) == 1, "one batch at a time"


def test_an_error_belongs_to_the_batch_that_had_it() -> None:
    scorer = Noting()
    scorer.gate.release(9)
    with ScoringQueue(scorer).join() as place:
        broken, whole = place.submit(batch(13)), place.submit(batch(20))
        with pytest.raises(ValueError, match="this batch only"):
            broken.result(TIMEOUT)
        assert whole.result(TIMEOUT).logits["resnet50"][0] == pytest.approx(0.2)


def test_who_leaves_takes_the_waiting_batches_along() -> None:
    scorer = Noting()
    scoring = ScoringQueue(scorer)
    with scoring.join() as stays:
        with scoring.join() as leaves:
            running = leaves.submit(batch(1))
            assert scorer.begun.acquire(timeout=TIMEOUT)
            waiting = leaves.submit(batch(2))
            other = stays.submit(batch(3))
        scorer.gate.release(9)
        assert other.result(TIMEOUT).logits["resnet50"][0] == pytest.approx(0.03)
        running.result(TIMEOUT)
        with pytest.raises(CancelledError):
            waiting.result(TIMEOUT)
    assert scorer.seen == [1, 3]


def test_a_process_may_end_while_its_networks_run() -> None:
    code = (
        "import numpy as np; from detector.analysis.engine import Engine; "
        "place = Engine().queue().join(); crops = np.zeros((8, 304, 304, 3), np.uint8); "
        "[place.submit(crops) for _ in range(9)]; print('over')"
    )
    assert python(code) == "over"


def test_an_item_is_withdrawn_before_its_turn() -> None:
    queue: FairQueue[int] = FairQueue()
    for owner, item in (("a", 1), ("a", 2), ("b", 3)):
        queue.put(owner, item)
    assert queue.withdraw("a", 1)
    assert not queue.withdraw("a", 1)
    assert not queue.withdraw("nobody", 2)
    assert queue.withdraw("b", 3)
    assert queue.get() == 2
    assert len(queue) == 0

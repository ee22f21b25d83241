"""The one queue of this process, shared by pages and service, and whether its models are there."""

from __future__ import annotations

import functools
import logging
import threading

from detector.analysis.engine import Engine
from detector.concurrency import threads
from detector.errors import DetectorError
from detector.jobs.queue import Jobs

_loaded = threading.Event()


@functools.cache
def _jobs() -> Jobs:
    engine = Engine()

    def load() -> None:
        try:
            engine.warm_up()
            _loaded.set()
        except DetectorError as error:
            logging.getLogger("veriframe").error("%s", error)  # the first analysis says it again

    threads.start(load, "load-models", lambda: None)
    return Jobs(engine)


_making = threading.Lock()


def jobs() -> Jobs:
    """Return the queue of this process; its models begin to load with the first call."""
    with _making:
        return _jobs()


def loaded() -> bool:
    """Return True once the models that the queue uses by default are loaded."""
    return _loaded.is_set()

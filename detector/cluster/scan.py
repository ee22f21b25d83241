"""Scan a million clips: Ray Data passes them from decoding to the networks to Parquet files.

Looking at clips takes processors, scoring the networks (on GPUs where the cluster has some), and
each has its own workers; Ray Data lets the first run ahead only as far as the memory it may use
allows. Every clip ends as one row: its identity is in the row and in the file's name, so that
nothing is written twice, and a scan that was stopped goes on where it was. What is done about
workers that die: the clips of a group whose worker was killed are looked at again one by one; one
that kills its worker twice more, when it has it to itself, is a failed row.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from detector.cluster import stages
from detector.cluster.agreement import agree
from detector.cluster.connection import Node, nodes
from detector.cluster.plan import ClipOutcome, LookedAt, Plan, Scores
from detector.cluster.serialize import from_bytes
from detector.cluster.source import SourceClip
from detector.cluster.target import Target
from detector.errors import ClipError, ClusterError
from detector.limits import Limits
from detector.settings import Settings

if TYPE_CHECKING:
    import pyarrow

ALONE = 2  # workers that a clip may kill when no other clip can be to blame
TRIES = 3  # of scoring and of writing, whose workers die of other things than clips
_MOST_IN_GROUP = 16  # clips of a task: few are lost with a worker, and the scheduler keeps up
_ROWS_A_FILE = 64
_GPU_CLIPS = 8  # that go to a GPU together
_WAITING_A_NODE = 512 << 20  # bytes of crops that wait for the networks, for each node
Look = Callable[["pyarrow.Table", Plan], Iterator["pyarrow.Table"]]


@dataclass(frozen=True)
class ClusterProgress:
    """How far a scan is: clips done (known ones included) of all, and those that ended last."""

    done: int
    total: int
    latest: tuple[ClipOutcome, ...]


@dataclass(frozen=True)
class ClusterOutcome:
    """What became of the clips.

    Attributes:
        total: clips in the source.
        analysed: now.
        known: analysed by an earlier scan.
        failed: now.
        failed_before: by an earlier scan, and not tried again.
    """

    total: int
    analysed: int
    known: int
    failed: int
    failed_before: int

    @property
    def exit_code(self) -> int:
        """0: all clips are analysed; 1: some failed; 2: all failed."""
        failed = self.failed + self.failed_before
        return 2 if failed and failed == self.total else int(failed > 0)


def scan_cluster(
    clips: Sequence[SourceClip],
    target: Target,
    settings: Settings | None = None,
    *,
    limits: Limits | None = None,
    retry_failed: bool = False,
    on_progress: Callable[[ClusterProgress], None] | None = None,
    look: Look = stages.look,
) -> ClusterOutcome:
    """Scan clips on the Ray cluster that this process is connected to.

    One scan at a time may write to a target.

    Args:
        clips: see `detector.cluster.source.find_source`.
        target: where rows are written, and where those of earlier scans are.
        settings, limits: as in `detector.analysis.scan.scan`.
        retry_failed: try clips again that failed in an earlier scan.
        on_progress: called in this thread whenever more rows are written.
        look: the first stage.

    Raises:
        ClusterError: a node lacks something, or the target cannot be written or read; the rows
            that were written by then stay, and the next scan goes on from there.
        ModelError: weights or backend are not there.
    """
    machines = nodes()
    target.clean()
    plan = _plan(target, settings or Settings(), limits or Limits.from_environment(), machines)
    waiting = {clip.identity(plan.fingerprint): clip for clip in clips}
    known = {id: found for id, found in target.known().items() if id in waiting}
    before = {id: path for id, (state, path) in known.items() if state == "failed"}
    if retry_failed:
        # Before they are tried: at no moment, wherever this stops, has a clip two rows.
        target.remove(before.keys(), set(before.values()))
        known = {id: found for id, found in known.items() if id not in before}
        before = {}
    waiting = {id: clip for id, clip in waiting.items() if id not in known}
    total, counts = len(known) + len(waiting), {"analysed": 0, "failed": 0}

    def note(outcomes: Sequence[ClipOutcome]) -> None:
        for outcome in outcomes:
            if outcome.unwritten is not None:
                raise ClusterError(outcome.unwritten)
            if waiting.pop(outcome.identity, None) is not None:
                counts[outcome.state] += 1
        if on_progress is not None:
            on_progress(ClusterProgress(total - len(waiting), total, tuple(outcomes)))

    note(())
    try:
        group = _group_size(len(waiting), machines)
        with closing(_run(list(waiting.values()), group, 1, plan, machines, look)) as groups:
            for outcomes in groups:
                note(outcomes)
        if waiting:
            note(_already_written(waiting, target))
            with closing(_run(list(waiting.values()), 1, ALONE, plan, machines, look)) as alone:
                for outcomes in alone:
                    note(outcomes)
        for outcomes in _give_up(list(waiting.values()), plan):
            note(outcomes)
    finally:
        target.clean()
    return ClusterOutcome(
        total, counts["analysed"], len(known) - len(before), counts["failed"], len(before)
    )


def _plan(target: Target, settings: Settings, limits: Limits, machines: Sequence[Node]) -> Plan:
    agreed = agree(target, settings, machines)
    return Plan(
        settings=replace(settings, backend=agreed.backend),
        limits=limits,
        fingerprint=agreed.fingerprint,
        model_version=agreed.model_version,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        target=target,
    )


def _run(
    clips: Sequence[SourceClip],
    group: int,
    tries: int,
    plan: Plan,
    machines: Sequence[Node],
    look: Look,
) -> Generator[list[ClipOutcome]]:
    """Pass the clips through the stages; gives what became of them, a written file at a time.

    Args:
        clips: to look at.
        group: clips that one task looks at.
        tries: workers that a group may lose; then its clips are missing in what is given.
    """
    import ray.data
    from ray.data import ActorPoolStrategy

    if not clips:
        return
    # Ray's types know no function that takes more than its batch.
    first: Any = look
    last: Any = stages.write
    share = Share.of(machines)
    groups = [
        stages.to_table(clips[start : start + group]) for start in range(0, len(clips), group)
    ]
    with _ray_data(machines):
        stream = (
            ray.data.from_arrow(groups)
            .map_batches(
                first,
                batch_size=None,
                batch_format="pyarrow",
                fn_kwargs={"plan": plan},
                num_cpus=share.look,
                max_retries=tries - 1,
            )
            .map_batches(
                stages.Score,
                batch_size=share.batch,
                batch_format="pyarrow",
                fn_constructor_args=(plan,),
                compute=ActorPoolStrategy(min_size=1, max_size=share.scorers),
                num_cpus=share.score,
                num_gpus=share.gpus or None,
                max_restarts=-1,
                max_task_retries=TRIES - 1,
            )
            .map_batches(
                last,
                batch_size=_rows_a_file(len(clips)),
                batch_format="pyarrow",
                fn_kwargs={"plan": plan},
                num_cpus=share.write,
                max_retries=TRIES - 1,
            )
        )
        for batch in stream.iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=0
        ):
            for cell in batch["outcomes"]:
                yield from_bytes(list[ClipOutcome], cell.as_py())


@dataclass(frozen=True)
class Share:
    """How a cluster's processors are shared: logical ones, by which Ray counts.

    Attributes:
        look, write: processors of a task.
        scorers: actors that score, at most.
        score: processors of such an actor.
        gpus: GPUs of such an actor; 0 for none.
        batch: clips that such an actor takes at a time; None for those of a block.
    """

    look: float
    write: float
    scorers: int
    score: float
    gpus: float
    batch: int | None

    @classmethod
    def of(cls, machines: Sequence[Node]) -> Share:
        """Let GPUs score where there are any; else one actor a node, on all of the node's cores.

        Scoring takes about seven tenths of a clip's computing on a processor.
        """
        gpus = int(sum(node.gpus for node in machines))
        if gpus:
            return cls(look=1, write=0.25, scorers=gpus, score=0.5, gpus=1, batch=_GPU_CLIPS)
        least = min(node.cpus for node in machines)
        return cls(
            look=0.5, write=0.05, scorers=len(machines), score=0.7 * least, gpus=0, batch=None
        )


def _already_written(waiting: Iterable[str], target: Target) -> list[ClipOutcome]:
    """Return the clips whose rows are there, though the worker died that wrote them."""
    known = target.known()
    return [ClipOutcome("", id, known[id][0]) for id in waiting if id in known]  # type: ignore[arg-type]


def _give_up(clips: Sequence[SourceClip], plan: Plan) -> Iterator[list[ClipOutcome]]:
    """Write failed rows for the clips that killed their workers."""
    rows = []
    for clip in clips:
        name = clip.path.rsplit("/", 1)[-1]
        error = ClipError(
            f"“{name}” ended {ALONE} workers that read nothing else; get the original or export it "
            "as MP4, then scan again with --retry-failed."
        )
        rows.append(stages.row_of(LookedAt(clip, error=str(error)), Scores(()), plan))
    for start in range(0, len(rows), _ROWS_A_FILE):
        yield stages.write_rows(rows[start : start + _ROWS_A_FILE], plan)


def _group_size(clips: int, machines: Sequence[Node]) -> int:
    cores = sum(node.cpus for node in machines)
    return min(max(int(clips / (8 * cores)), 1), _MOST_IN_GROUP)


def _rows_a_file(clips: int) -> int:
    return min(max(clips // 16, 1), _ROWS_A_FILE)


@contextlib.contextmanager
def _ray_data(machines: Sequence[Node]) -> Iterator[None]:
    """Apply Ray Data's settings for a scan, which bound its memory and keep it quiet."""
    import ray.data
    from ray.data import ExecutionResources
    from ray.util.annotations import RayDeprecationWarning

    context = ray.data.DataContext.get_current().copy()
    # What a dead worker takes with it is noticed by what is missing, see `scan_cluster`.
    context.max_errored_blocks = -1
    # A block for each clip: where a task is repeated after some of its blocks were taken, Ray
    # leaves out as many blocks as were taken, which are the same clips only if none shares one.
    context.target_max_block_size = 1
    context.execution_options.preserve_order = False
    context.execution_options.resource_limits = ExecutionResources(
        object_store_memory=_WAITING_A_NODE * len(machines)
    )
    context.enable_progress_bars = False
    loggers = [logging.getLogger(name) for name in ("ray.data", "ray")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), ray.data.DataContext.current(context):
        # Without max_retries a clip would kill workers forever; 2.60 has no other way to say it.
        warnings.simplefilter("ignore", RayDeprecationWarning)
        warnings.filterwarnings("ignore", module=r"ray\.data\.", category=UserWarning)
        try:
            for logger in loggers:
                logger.setLevel(logging.CRITICAL)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)

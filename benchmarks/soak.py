"""Eight people for a quarter of an hour, a worker that is killed, a disk that fills: what remains?

    python -m benchmarks.soak [--minutes 15] [--people 8] [--seed 0] [--out benchmarks/results]

A real server and real browser tabs: they upload, scan, explain, change pages, and leave in the
middle. Meanwhile the decoding worker is killed at random, and once the disk is filled and freed
(where a small one of its own can be mounted: Linux, root). Before and after, the server is at
rest: its memory, files, threads, processes, temporary files and queue should be the same, every
analysis that a page called kept is in the library once, and nobody waits for ever.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from playwright.async_api import Browser, Locator, Page, async_playwright
from playwright.async_api import Error as BrowserError

from benchmarks.record import Record, Row, finish
from detector.jobs.queue import UNEXPECTED
from detector.library.store import Library
from tests.helpers import served

SAMPLES = served.ROOT / "assets" / "samples"
CLIPS = sorted(SAMPLES.glob("*.mp4"))
DISK = 384  # MiB, of the small disk
REST = 5  # seconds after which the server forgets a tab that was closed
PATIENCE = 240.0  # seconds that anything may take before it counts as stuck
KILLED_EVERY = (6.0, 20.0)  # seconds
WORKER = "detector.media.sandbox.worker"
PAGES = ("Frames", "Library", "Feature maps", "Training")


@dataclass
class Tally:
    """What happened, by name, and the numbers under which pages said that analyses are kept."""

    events: Counter[str] = field(default_factory=Counter)
    kept: set[int] = field(default_factory=set)
    strange: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)  # MiB, every half minute


async def sample_memory(server: served.Server, tally: Tally) -> None:
    """Write down every half minute what the server holds: growth without end would show."""
    while True:
        await asyncio.sleep(30)
        tally.memory.append(look(server).memory)


@dataclass(frozen=True)
class AtRest:
    """What the server holds on to.

    Attributes:
        memory: MiB resident, of the server and its processes.
        files, threads, processes: of the server and its processes.
        temporary: files and folders in its temporary folder.
    """

    memory: float
    files: int
    threads: int
    processes: int
    temporary: int


def look(server: served.Server) -> AtRest:
    """What the server holds on to now."""
    own = psutil.Process(server.process)
    family = [own, *own.children(recursive=True)]
    memory = files = threads = 0
    for process in family:
        with contextlib.suppress(psutil.Error):
            memory += process.memory_info().rss
            files += process.num_fds()
            threads += process.num_threads()
    temporary = sum(1 for _ in server.temporary.rglob("*"))
    return AtRest(memory / 2**20, files, threads, len(family), temporary)


@contextlib.contextmanager
def small_disk() -> Iterator[tuple[Path, bool]]:
    """A folder, on a disk of its own of `DISK` MiB where that can be had."""
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name) / "disk"
        folder.mkdir()
        done = (
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={DISK}m,mode=700", "tmpfs", str(folder)],
                check=False,
                capture_output=True,
            )
            if shutil.which("mount")
            else None
        )
        mounted = done is not None and done.returncode == 0
        try:
            yield folder, mounted
        finally:
            if mounted:
                subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Person:
    """Somebody with a browser, who does this and that.

    Args:
        browser: shared by all.
        url: of the server.
        tally: where everything is counted.
        seed: of their whims.
        maps: whether they ask for maps, which take most of the processor.
    """

    def __init__(
        self, browser: Browser, url: str, tally: Tally, seed: int, maps: bool = True
    ) -> None:
        self._browser, self._url, self._tally, self._maps = browser, url, tally, maps
        self._whims = random.Random(seed)  # noqa: S311

    async def visit(self, *, patient: bool = False) -> None:
        """One visit in a tab of its own; a patient person does everything and stays to the end."""
        context = await self._browser.new_context(viewport={"width": 1280, "height": 1600})
        context.set_default_timeout(PATIENCE * 1000)
        page = await context.new_page()
        self._tally.events["visits"] += 1
        try:
            await self._stay(page, patient)
        except BrowserError as error:
            self._tally.events["stuck"] += 1
            waited_for = " ".join(str(error).split())[:300]
            with contextlib.suppress(BrowserError):
                shown = " ".join((await page.locator("section").last.inner_text()).split())
                waited_for += f" | the page says: {shown[-400:]}"
            self._tally.strange.append(waited_for)
        finally:
            await context.close()

    async def _stay(self, page: Page, patient: bool) -> None:
        await page.goto(self._url)
        await page.get_by_role("heading", name="Check a clip").wait_for()
        await self._upload(page)
        if not patient and self._whims.random() < 0.3:
            await asyncio.sleep(self._whims.uniform(0.2, 4.0))
            self._tally.events["left while a scan ran"] += 1
            return
        if not await self._await_scan(page):
            return
        if self._maps and (patient or self._whims.random() < 0.4):
            await self._explain(page, patient)
        for name in PAGES if patient else self._whims.sample(PAGES, 2):
            await page.get_by_role("link", name=name, exact=True).first.click()
            await page.get_by_role("heading", name=name, exact=True).first.wait_for()
            self._tally.events["pages changed"] += 1
        if await page.get_by_test_id("stException").count():
            self._tally.events["pages that failed"] += 1

    async def _upload(self, page: Page) -> None:
        clip = self._whims.choice(CLIPS)
        async with page.expect_file_chooser() as chooser:
            await page.get_by_role("button", name="Upload", exact=True).click()
        await (await chooser.value).set_files(clip)
        self._tally.events["uploads"] += 1

    async def _await_scan(self, page: Page) -> bool:
        """True when there is a result; a sentence instead of one is counted."""
        finding = page.locator(".st-key-finding")
        refusal = page.get_by_test_id("stAlert").filter(has_text=re.compile(r"[.!]$"))
        broken = page.get_by_test_id("stException")
        await first_of(finding, refusal, broken)
        if await broken.count():
            self._tally.events["pages that failed"] += 1
            self._tally.strange.append((await broken.first.inner_text())[:200])
            return False
        if await finding.count() == 0:
            said = await refusal.first.inner_text()
            known = UNEXPECTED[:40] not in said
            self._tally.events["scans ended by a sentence" if known else "unexpected errors"] += 1
            if not known:
                self._tally.strange.append(said[:200])
            return False
        self._tally.events["scans finished"] += 1
        said = await page.locator(".st-key-keeping").inner_text()
        number = re.search(r"as number (\d+)", said)
        if number:
            self._tally.kept.add(int(number[1]))
        else:
            self._tally.events["results that could not be kept"] += 1
        return True

    async def _explain(self, page: Page, patient: bool) -> None:
        await page.get_by_role("link", name="Attributions", exact=True).click()
        await page.get_by_role("heading", name="Attributions", exact=True).wait_for()
        making = page.get_by_text(re.compile("Making the map"))
        # The test of a map takes far longer than the map, and is no other code.
        await page.get_by_text("Test each map").click()
        if not patient and self._whims.random() < 0.4:
            await asyncio.sleep(self._whims.uniform(0.2, 3.0))
            self._tally.events["left a map in the making"] += 1
            return
        await page.wait_for_timeout(500)
        wait = PATIENCE if patient else self._whims.uniform(5, 30)  # maps are made one by one
        try:
            await making.first.wait_for(state="hidden", timeout=wait * 1000)
        except BrowserError:
            if patient:
                raise
            self._tally.events["left a map in the making"] += 1
            return
        self._tally.events["maps"] += 1


async def first_of(*some: Locator) -> None:
    """Wait for whichever is there first."""
    waits = [asyncio.ensure_future(one.first.wait_for()) for one in some]
    done, late = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in late:
        wait.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    for wait in done:
        wait.result()


async def kill_workers(server: served.Server, tally: Tally, whims: random.Random) -> None:
    """End a decoding worker now and then, without a warning."""
    while True:
        await asyncio.sleep(whims.uniform(*KILLED_EVERY))
        workers = []
        for process in psutil.Process(server.process).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if WORKER in " ".join(process.cmdline()):
                    workers.append(process)
        if workers:
            with contextlib.suppress(psutil.Error):
                whims.choice(workers).kill()
                tally.events["workers killed"] += 1


async def fill_disk(folder: Path, tally: Tally, after: float, seconds: float) -> None:
    """Leave no room on the disk for some seconds."""
    await asyncio.sleep(after)
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(1 << 20))
    tally.events["times the disk was full"] += 1
    await asyncio.sleep(seconds)
    filler.unlink()


async def quiet(server: served.Server) -> AtRest:
    """What the server holds on to once it has forgotten all tabs."""
    await asyncio.sleep(REST + 5)
    least = look(server)
    until = time.monotonic() + 60
    while time.monotonic() < until:  # explanations stop at their next step
        await asyncio.sleep(3)
        now = look(server)
        if now.temporary >= least.temporary and now.threads >= least.threads:
            break
        least = now
    return look(server)


async def soak(
    server: served.Server, disk: Path | None, minutes: float, people: int, seed: int, maps: bool
) -> tuple[Tally, AtRest, AtRest]:
    """The whole of it: what happened, and the server at rest before and after."""
    tally, whims = Tally(), random.Random(seed)  # noqa: S311
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=served.chromium_path(), args=served.chromium_flags()
        )
        crowd = [
            Person(browser, server.url, tally, seed * 1000 + one, maps) for one in range(people)
        ]
        # What is loaded once is loaded now.
        await asyncio.gather(*(person.visit(patient=True) for person in crowd[:2]))
        before = await quiet(server)
        until = time.monotonic() + minutes * 60

        async def come_and_go(person: Person) -> None:
            while time.monotonic() < until:
                await person.visit()

        watching = asyncio.ensure_future(sample_memory(server, tally))
        disturbances = [asyncio.ensure_future(kill_workers(server, tally, whims))]
        if disk is not None:
            fill = fill_disk(disk, tally, minutes * 25, min(15.0, minutes * 5))
            disturbances.append(asyncio.ensure_future(fill))
        await asyncio.gather(*(come_and_go(person) for person in crowd))
        watching.cancel()
        disturbances[0].cancel()
        await asyncio.gather(*disturbances, return_exceptions=True)
        stuck = tally.events["stuck"]
        finished = tally.events["scans finished"]
        await crowd[0].visit(patient=True)  # it still works
        tally.events["scans after everything"] = tally.events["scans finished"] - finished
        tally.events["stuck"] = stuck
        after = await quiet(server)
        await browser.close()
    return tally, before, after


def report(
    tally: Tally, before: AtRest, after: AtRest, held: list[int], minutes: float, notes: list[str]
) -> Record:
    """The figures."""
    events = tally.events
    lost = len(tally.kept - set(held))
    rows = [
        Row("what happened", {name: float(count) for name, count in sorted(events.items())}),
        Row("analyses that a page called kept", {"count": float(len(tally.kept))}),
        Row("of them lost", {"count": float(lost)}, "none", lost == 0),
        Row(
            "visits that waited for ever",
            {"count": float(events["stuck"])},
            "none",
            events["stuck"] == 0,
        ),
        Row(
            "unexpected errors",
            {"count": float(events["unexpected errors"])},
            "none",
            events["unexpected errors"] + events["pages that failed"] == 0,
        ),
        Row(
            "works after everything",
            {"count": float(events["scans after everything"])},
            "one scan",
            events["scans after everything"] == 1,
        ),
        *_halves(tally.memory),
        *(
            Row(
                f"{name} at rest",
                {"before": float(getattr(before, name)), "after": float(getattr(after, name))},
                words,
                getattr(after, name) <= getattr(before, name) * share + some,
            )
            for name, words, share, some in (
                ("memory", "at most a fifth more (MiB)", 1.2, 0),
                ("files", "at most 16 more", 1.0, 16),
                ("threads", "at most 4 more", 1.0, 4),
                ("processes", "no more", 1.0, 0),
                ("temporary", "no more", 1.0, 0),
            )
        ),
    ]
    return Record("soak", f"Soak: {minutes:g} minutes", rows, [*notes, *tally.strange[:10]])


def _halves(memory: list[float]) -> list[Row]:
    """The highest memory in each half of the time: caches fill, a leak goes on."""
    if len(memory) < 4:
        return []
    middle = len(memory) // 2
    first, second = max(memory[:middle]), max(memory[middle:])
    return [
        Row(
            "highest memory while it ran",
            {"first half": first, "second half": second},
            "at most a tenth more in the second (MiB)",
            second <= 1.1 * first,
        )
    ]


def main() -> int:
    """Run it; the exit code is 1 where something was promised and not kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument(
        "--maps",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="ask for maps too (default)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write soak.json here")
    options = parser.parse_args()
    with small_disk() as (folder, mounted):
        notes = [f"{options.people} people; closed tabs are forgotten after {REST} s (usually 120)"]
        if not options.maps:
            notes.append("nobody asked for maps")
        if not mounted:
            notes.append("no disk of its own can be mounted here, so that none was filled")
        settings = ["--server.disconnectedSessionTTL", str(REST)]
        with served.serve(folder, options=settings) as server:
            tally, before, after = asyncio.run(
                soak(
                    server,
                    folder if mounted else None,
                    options.minutes,
                    options.people,
                    options.seed,
                    options.maps,
                )
            )
            with Library.open(server.data / "library.sqlite") as library:
                held = list(library.ids())
    if not tally.events["workers killed"]:
        notes.append("no decoding worker was met, so that none was killed")
    record = report(tally, before, after, held, options.minutes, notes)
    finish(record, options.out)
    return int(any(row.reached is False for row in record.rows))


if __name__ == "__main__":
    sys.exit(main())

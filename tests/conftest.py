"""Fixtures that several tests share."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from detector.analysis.engine import Engine
from detector.analysis.scan import scan
from detector.concurrency import threads
from detector.files import ASSETS
from detector.library.store import Library
from detector.result import Analysis
from detector.samples import samples
from detector.settings import Settings
from tests.helpers import postgres

MAIN = sys.modules["__main__"]
DATABASES = ["sqlite"] + (["postgresql"] if postgres.programs() else [])


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The networks and face detectors, loaded once for all tests."""
    return Engine()


@pytest.fixture(scope="session")
def sample_clip() -> Callable[[str], Path]:
    """The path of a shipped clip, by its name without ending."""
    return lambda name: ASSETS / "samples" / f"{name}.mp4"


@pytest.fixture(scope="session")
def portraits() -> dict[str, Path]:
    """The shipped portraits, by the first word of their names."""
    folder = ASSETS / "samples" / "portraits"
    return {path.name.split("_")[0]: path for path in sorted(folder.iterdir())}


@pytest.fixture(scope="session")
def sample_analyses(engine: Engine, portraits: dict[str, Path]) -> dict[str, Analysis]:
    """Every shipped clip in four frames, and every portrait, analysed once for all tests."""
    clips = {sample.path.stem: sample.path for sample in samples()} | portraits
    return {name: scan(path, Settings(frames=4), engine) for name, path in clips.items()}


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """Address of a PostgreSQL database on a server of the tests' own."""
    yield from postgres.serve()


@pytest.fixture
def postgresql_url(postgresql_server: str) -> str:
    """Address of an empty PostgreSQL database; the test needs the mark `postgresql`."""
    import psycopg

    # Emptied, not made anew: a new one costs 8 MB and a fifth of a second.
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return postgresql_server


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty database: SQLite, and PostgreSQL where it is installed."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/library.sqlite"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty library in a SQLite file of the test's own."""
    with Library.open(tmp_path / "library.sqlite") as opened:
        yield opened


@pytest.fixture
def gate() -> Iterator[threading.Semaphore]:
    """Lets as many frames pass as it is released for; opened wide at the end."""
    closed = threading.Semaphore(0)
    yield closed
    closed.release(100_000)


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the library of the person who runs it."""
    monkeypatch.setenv("VERIFRAME_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("DATABASE_URL", raising=False)


@pytest.fixture(autouse=True)
def _own_main_module() -> Iterator[None]:
    """Streamlit leaves the page as `__main__`; a spawned process would run it as its own."""
    sys.modules["__main__"] = MAIN
    yield
    sys.modules["__main__"] = MAIN


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "postgresql: needs an installed PostgreSQL")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "postgresql" not in DATABASES:
        missing = [item for item in items if item.get_closest_marker("postgresql")]
        config.hook.pytest_deselected(items=missing)
        items[:] = [item for item in items if item not in missing]


def pytest_sessionfinish() -> None:
    # Hundreds of threads of many tests end here, not the few of a server.
    threads.PATIENCE = 60


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if "postgresql" not in DATABASES:
        terminalreporter.section("databases", sep="=", yellow=True)
        terminalreporter.write_line(postgres.MISSING, yellow=True)

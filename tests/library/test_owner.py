"""Each person sees their own analyses: every way into the library, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from detector.errors import LibraryError
from detector.library import database, schema
from detector.library.store import Library
from detector.library.types import FrameFilter, LibraryFilter
from tests.helpers.examples import Drawn, example
from tests.library.test_store import keep_as_before

ADA, BOB = "https://login.example|ada", "https://login.example|bob"


@pytest.fixture
def nobody(database_url: str) -> Iterator[Library]:
    """The library without a login, which holds one analysis."""
    with Library.open(database_url) as opened:
        opened.add(example("nobody.mp4", seed=1), Drawn(), tags=["left"])
        yield opened


@pytest.fixture
def ada(nobody: Library) -> tuple[Library, int]:
    """Ada's view of it, and the number of her analysis."""
    library = nobody.owned_by(ADA)
    return library, library.add(
        example("ada.mp4", seed=2), Drawn(), tags=["secret"], note="my source", source="/a/ada.mp4"
    )


READS: dict[str, Callable[[Library, int], Any]] = {
    "search": lambda library, id: library.search().items,
    "search by number": lambda library, id: library.search(LibraryFilter(ids=[id])).items,
    "search by tag": lambda library, id: library.search(LibraryFilter(tags=["secret"])).items,
    "search in notes": lambda library, id: library.search(LibraryFilter(text="my source")).items,
    "numbers": lambda library, id: library.ids(),
    "frames of all": lambda library, id: library.frames().items,
    "frames of one": lambda library, id: library.frames(FrameFilter(analyses=[id])).items,
    "frames, sorted": lambda library, id: library.frames(sort="-score").items,
    "every frame": lambda library, id: tuple(library.every_frame()),
    "scores": lambda library, id: tuple(library.scores()),
    "tags": lambda library, id: tuple(library.tags()),
    "models": lambda library, id: library.model_versions(),
    "cover": lambda library, id: library.thumbnail(id),
    "frame picture": lambda library, id: library.thumbnail(id, 0),
    "pictured": lambda library, id: library.pictured(id),
    "kept pictures": lambda library, id: library.pictures(id).frame(0),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_nobody_else_reads_it(
    ada: tuple[Library, int], read: Callable[[Library, int], Any]
) -> None:
    library, id = ada
    assert read(library, id), "the owner sees it"
    assert not read(library.owned_by(BOB), id)


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_without_a_login_nothing_of_it_is_read(
    nobody: Library, ada: tuple[Library, int], read: Callable[[Library, int], Any]
) -> None:
    library, id = ada
    mine, theirs = read(nobody, id), read(library, id)
    if read is READS["models"]:
        assert mine == theirs, "the same networks made both"
    elif isinstance(theirs, tuple):
        assert not [one for one in mine if one in theirs]
    else:
        assert not mine


CHANGES: dict[str, Callable[[Library, int], Any]] = {
    "get": lambda library, id: library.get(id),
    "summary": lambda library, id: library.summary(id),
    "clip": lambda library, id: library.clip(id),
    "tags": lambda library, id: library.set_tags([id], ["seen"]),
    "tag": lambda library, id: library.tag([id], "seen"),
    "untag": lambda library, id: library.untag([id], "secret"),
    "note": lambda library, id: library.set_note(id, "seen"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("other", [BOB, ""], ids=["another", "no login"])
def test_somebody_elses_number_is_no_number(
    ada: tuple[Library, int], change: Callable[[Library, int], Any], other: str
) -> None:
    library, id = ada
    before = library.summary(id)
    with pytest.raises(LibraryError, match=f"There is no analysis {id} in the library"):
        change(library.owned_by(other), id)
    assert library.summary(id) == before


@pytest.mark.parametrize("other", [BOB, ""], ids=["another", "no login"])
def test_nobody_else_deletes_it(ada: tuple[Library, int], other: str) -> None:
    library, id = ada
    assert library.owned_by(other).delete([id]) == 0
    assert library.ids() == (id,)
    assert library.delete([id]) == 1


def test_two_people_keep_the_same_analysis(nobody: Library) -> None:
    ada, bob, analysis = nobody.owned_by(ADA), nobody.owned_by(BOB), example(seed=3)
    first, second = ada.add(analysis), bob.add(analysis)
    assert first != second
    assert ada.add(analysis) == first
    assert ada.get(first) == bob.get(second) == analysis
    assert bob.find(analysis.clip.sha256, ada.summary(first).fingerprint) == bob.summary(second)


def test_a_clip_that_both_kept_stays_for_the_other(nobody: Library, tmp_path: Path) -> None:
    import dataclasses
    import hashlib

    path = tmp_path / "clip.mp4"
    path.write_bytes(b"bytes")
    base = example(seed=4)
    clip = dataclasses.replace(base.clip, bytes=5, sha256=hashlib.sha256(b"bytes").hexdigest())
    analysis = dataclasses.replace(base, clip=clip)
    ada, bob = nobody.owned_by(ADA), nobody.owned_by(BOB)
    first, second = (library.add(analysis) for library in (ada, bob))
    for library, id in ((ada, first), (bob, second)):
        keep_as_before(library, id, path)
    path.unlink()
    ada.delete([first])
    assert bob.clip(second) is not None


def test_size_counts_ones_own(nobody: Library, ada: tuple[Library, int]) -> None:
    assert [library.size().analyses for library in (nobody, ada[0], nobody.owned_by(BOB))] == [
        1,
        1,
        0,
    ]


def test_a_library_from_before_logins_is_brought_up_to_date(database_url: str) -> None:
    from alembic import command
    from alembic.config import Config

    analysis = example(seed=5)
    with Library.open(database_url) as library:
        id = library.add(analysis, Drawn(), tags=["old"], note="words")
        summary = library.summary(id)
        config = Config()
        config.set_main_option("script_location", str(database.MIGRATIONS))
        with database.writing(library._engine) as connection:
            config.attributes["connection"] = connection
            command.downgrade(config, "0001")
            columns = {one["name"] for one in sa.inspect(connection).get_columns("analysis")}
    assert "owner" not in columns
    with Library.open(database_url) as library:
        assert library.summary(id) == summary
        assert library.get(id) == analysis
        assert library.owned_by(ADA).search().total == 0
        with library._engine.connect() as connection:
            owners = connection.execute(sa.select(schema.analysis.c.owner)).scalars()
            assert list(owners) == [""]


@pytest.mark.parametrize("owner", ["a\0b", "%", "' OR 1=1 --", "\ud800", "名" * 400])
def test_any_name_is_only_itself(nobody: Library, owner: str) -> None:
    library = nobody.owned_by(owner)
    id = library.add(example(seed=6))
    assert library.ids() == (id,)
    assert nobody.owned_by("b").ids() == ()
    assert id not in nobody.ids()


def test_no_test_of_rows_where_nobody_logs_in(nobody: Library) -> None:
    """A million rows of one person are not compared with an owner one by one."""
    with nobody._engine.connect() as connection:
        assert nobody._own(connection) == []
        nobody.owned_by(ADA).add(example(seed=7))
    with nobody._engine.connect() as connection:
        assert len(nobody._own(connection)) == 1

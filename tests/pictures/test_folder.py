"""detector.pictures.folder: the very crops that were scored, and nothing left after removal."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.media.clip import Frame
from detector.pictures.folder import PREVIEW_SIDE, PictureFolder
from tests.helpers.clips import picture
from tests.helpers.processes import ROOT


def crop(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (304, 304, 3), dtype=np.uint8)


def frame(index: int, width: int = 128, height: int = 96) -> Frame:
    return Frame(index, index / 25, picture(index % 256, width, height))


@pytest.fixture
def pictures(tmp_path: Path) -> PictureFolder:
    kept = PictureFolder(tmp_path / "new" / "folder")
    kept.add(frame(3), [(1, crop(1)), (12, crop(2))])
    kept.add(frame(40), [])
    return kept


def test_crops_come_back_pixel_by_pixel(pictures: PictureFolder) -> None:
    for track, seed in ((1, 1), (12, 2)):
        kept = pictures.face(3, track)
        assert kept is not None
        np.testing.assert_array_equal(kept, crop(seed))
        assert pictures.has_face(3, track)
        assert kept.dtype == np.uint8
        assert kept.flags.c_contiguous


def test_a_png_is_what_a_browser_reads(pictures: PictureFolder) -> None:
    png = pictures.face_picture(3, 12)
    assert png is not None
    assert png.startswith(b"\x89PNG")
    read = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(read[..., ::-1], crop(2))


@pytest.mark.parametrize(
    ("width", "height", "shown"),
    [
        (128, 96, (128, 96)),
        (1920, 1080, (960, 540)),
        (1080, 1920, (540, 960)),
        (960, 400, (960, 400)),
        (4000, 32, (960, 8)),
    ],
)
def test_previews_are_jpeg_in_true_colours_and_never_large(
    tmp_path: Path, width: int, height: int, shown: tuple[int, int]
) -> None:
    kept = PictureFolder(tmp_path)
    whole = frame(0, width, height)
    kept.add(whole, [])
    jpeg = kept.frame(0)
    assert jpeg is not None
    assert jpeg.startswith(b"\xff\xd8")
    preview = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert preview.shape[1::-1] == shown
    assert max(shown) <= PREVIEW_SIDE
    expected = cv2.resize(whole.image, shown, interpolation=cv2.INTER_AREA)
    assert np.abs(preview.astype(int) - expected).mean() < 8


@pytest.mark.parametrize(("index", "track"), [(3, 2), (4, 1), (40, 1), (-1, 1)])
def test_what_was_not_kept_is_none(pictures: PictureFolder, index: int, track: int) -> None:
    assert pictures.face(index, track) is None
    assert pictures.face_picture(index, track) is None
    assert not pictures.has_face(index, track)


def test_frames_are_kept_by_their_index(pictures: PictureFolder) -> None:
    assert pictures.frame(3) != pictures.frame(40)
    assert pictures.frame(40) is not None
    assert pictures.frame(4) is None


def test_a_damaged_crop_is_none(pictures: PictureFolder) -> None:
    (path,) = (path for path in pictures.folder.glob("face-*") if path.name.endswith("-12.png"))
    path.write_bytes(b"no picture")
    assert pictures.face(3, 12) is None


def test_nothing_is_written_before_the_first_picture(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    kept = PictureFolder(folder)
    assert kept.frame(0) is None
    assert not folder.exists()


def test_removing_takes_everything_and_may_be_repeated(pictures: PictureFolder) -> None:
    assert len(list(pictures.folder.iterdir())) == 4
    pictures.remove()
    assert not pictures.folder.exists()
    pictures.remove()
    assert pictures.frame(3) is None


# No file may become larger than 12 kB: what a full disk says, at that very byte. In a process of
# its own, since the limit would hold for the test run's own output too.
FULL_DISK = """
import resource, sys
from pathlib import Path
from detector.errors import ClipError
from detector.pictures.folder import PictureFolder
from tests.pictures.test_folder import crop, frame

resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))
pictures = PictureFolder(Path(sys.argv[1]))
pictures.add(frame(0), [])
try:
    pictures.add(frame(1), [(1, crop(1))])
except ClipError as error:
    print(error)
print(pictures.frame(1) is not None, pictures.has_face(1, 1))
"""


def test_a_full_disk_is_one_sentence_and_no_half_a_picture(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    sentence, kept = done.stdout.splitlines()
    assert re.match(r"The pictures .* cannot be stored \(File too large\); free", sentence)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "frame-0000000.jpg",
        "frame-0000001.jpg",
    ]
    assert kept == "True False"


def test_another_error_of_the_disk_is_no_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: Path, data: bytes) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "write_bytes", gone)
    with pytest.raises(OSError, match="Input/output error"):
        PictureFolder(tmp_path).add(frame(0), [])

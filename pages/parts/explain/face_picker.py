"""Which face is looked at: a clip, a moment, a person; shared by the pages that explain."""

from __future__ import annotations

import hashlib
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from detector.analysis.scan import scan
from detector.errors import DetectorError, LibraryError
from detector.library.types import LibraryFilter
from detector.media.clip import Image
from detector.pictures.folder import PictureFolder
from detector.pictures.from_clip import enlarge_copy
from detector.pictures.protocols import DisplayPictures
from detector.result import Analysis, ScoredFace, ScoredFrame
from detector.samples import samples
from detector.settings import Settings
from detector.wording import clock
from pages.parts import library_access, session
from pages.parts.text import plain, short

MINE = "mine"
KEPT = "kept-"  # and the number in the library
SAMPLE_FRAMES = 12


@dataclass(frozen=True)
class PickedFace:
    """One face in one frame of one clip, with the crop that the networks saw.

    Attributes:
        title: of the clip, for people.
        analysis: of the clip.
        frame, face: which one.
        crop: RGB uint8 [s, s, 3].
    """

    title: str
    analysis: Analysis
    frame: ScoredFrame
    face: ScoredFace
    crop: Image

    @property
    def key(self) -> str:
        """Tells this crop from every other one."""
        return hashlib.sha256(self.crop.tobytes()).hexdigest()[:16]

    @property
    def caption(self) -> str:
        """Which face this is, in few words."""
        when = "" if self.analysis.clip.still else f", {clock(self.frame.time)}"
        return f"{self.title}{when}, face {self.face.track}"

    @property
    def file_stem(self) -> str:
        """Tells files made of this face from others: clip, frame and face."""
        sha256 = self.analysis.clip.sha256[:8]
        return f"{sha256}-frame{self.frame.index}-face{self.face.track}"


class _SampleScan:
    """A sample's analysis with its pictures, which go when the cache lets it go."""

    def __init__(self, path: Path) -> None:
        self.pictures = PictureFolder(Path(tempfile.mkdtemp(prefix="veriframe-sample-")))
        weakref.finalize(self, self.pictures.remove)
        self.analysis = scan(
            path,
            Settings(frames=SAMPLE_FRAMES),
            session.models().engine,
            pictures=self.pictures,
        )


@st.cache_resource(max_entries=16, show_spinner="Finding the faces…")
def _sample(path: Path) -> _SampleScan:
    """Scan a shipped sample, once for all tabs."""
    return _SampleScan(path)


def titles() -> dict[str, str]:
    """Return what can be picked: opened from the library, this tab's clip, samples with a face."""
    found = _from_library()
    job = session.job()
    if job is not None and job.analysis is not None and job.analysis.tracks:
        found[MINE] = f"Your clip: {short(job.name, 40)}"
    for sample in samples():
        if not sample.path.stem.startswith("noface"):
            found[sample.path.stem] = sample.title
    return found


def _from_library() -> dict[str, str]:
    """Return the analysis that a link or the page "Library" names, where it shows a face."""
    asked = library_access.numbers(st.query_params.get("analysis", ""))
    if asked:
        st.session_state.opened = asked[0]
    number = st.session_state.get("opened")
    if number is None:
        return {}
    try:
        found = library_access.open_library().search(LibraryFilter(ids=[number]), page_size=1).items
    except LibraryError as error:
        st.error(plain(str(error)), icon=":material/inventory_2:")
        return {}
    if not found:
        st.session_state.opened = None
        _not_here(f"Analysis {number}", "It may have been deleted from the library.")
        return {}
    name = f"From the library: {number}, {short(found[0].name, 40)}"
    return {f"{KEPT}{number}": name} if found[0].faces else {}


def _kept_crop(
    number: int, analysis: Analysis, pictures: DisplayPictures, index: int, track: int
) -> Image | None:
    """Return the pixels that were scored; where they are gone, a copy, and say so."""
    crop = library_access.face(library_access.open_library(), number, pictures, index, track)
    if crop is None or pictures.exact:
        return crop
    st.caption(
        ":material/inventory_2: The clip itself was not kept. This is a small copy of the face, "
        "so that what the networks see in it differs a little from what was scored."
    )
    return enlarge_copy(crop, analysis.sampling)


def _load(source: str) -> tuple[Analysis, DisplayPictures]:
    """Return the analysis and pictures of a source that `titles` offers; raises DetectorError."""
    if source.startswith(KEPT):
        library, number = library_access.open_library(), int(source.removeprefix(KEPT))
        return library_access.analysis(library, number), library_access.pictures(library, number)
    job = session.job()
    if source == MINE and job is not None and job.analysis is not None:
        return job.analysis, job.pictures
    for sample in samples():
        if sample.path.stem == source:
            scanned = _sample(sample.path)
            return scanned.analysis, scanned.pictures
    raise DetectorError("This clip is no longer here; choose another one.")


def pick_face(suffix: str = "", default: int = 0) -> PickedFace | None:
    """Show widgets that pick a face, bound to the URL; None (and a sentence) where there is none.

    Args:
        suffix: tells two pickers on one page apart, also in the URL.
        default: which source is chosen first.
    """
    offered = titles()
    keys = list(offered)
    asked = st.query_params.to_dict()  # before the widgets take what they accept out of it
    if (clip := asked.get(f"clip{suffix}")) and clip not in offered.values():
        _not_here(clip, "Choose another clip, or analyse it again on the page “Check a clip”.")
    where, when, who = st.columns([4, 4, 2], gap="medium")
    source = where.selectbox(
        "Clip",
        keys,
        index=min(default, len(keys) - 1),
        format_func=lambda key: offered[key],
        key=f"clip{suffix}",
        bind="query-params",
    )
    try:
        analysis, pictures = _load(source)
    except DetectorError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    shown = [
        frame
        for frame in analysis.frames
        if any(pictures.has_face(frame.index, face.track) for face in frame.faces)
    ]
    if not shown:
        st.info(
            "No picture of a face is kept of this clip; choose another one, or analyse it again "
            "on the page “Check a clip”.",
            icon=":material/face_retouching_off:",
        )
        return None
    by_index = {frame.index: frame for frame in shown}
    moments = {clock(frame.time) for frame in shown}
    if (moment := asked.get(f"frame{suffix}")) and moment not in moments:
        _not_here(moment, "No face is kept of that moment; the first one is shown.")
    if len(shown) > 1:
        index = when.select_slider(
            "Moment",
            list(by_index),
            format_func=lambda index: clock(by_index[index].time),
            key=f"frame{suffix}",
            bind="query-params",
        )
    else:
        index = shown[0].index
    frame = by_index[index]
    tracks = sorted(face.track for face in frame.faces)
    track = tracks[0]
    if len(tracks) > 1:
        track = (
            who.segmented_control(
                "Face", tracks, default=tracks[0], key=f"face{suffix}", bind="query-params"
            )
            or tracks[0]
        )
    face = next(face for face in frame.faces if face.track == track)
    crop = (
        _kept_crop(int(source.removeprefix(KEPT)), analysis, pictures, frame.index, track)
        if source.startswith(KEPT)
        else pictures.face(frame.index, track)
    )
    if crop is None:
        st.info("This face's picture was not kept; choose another moment.")
        return None
    return PickedFace(offered[source], analysis, frame, face, crop)


def _not_here(what: str, hint: str) -> None:
    """Say that a link points at something that is gone, and what to do."""
    st.warning(f"“{plain(short(what))}” is not here. {hint}", icon=":material/link_off:")

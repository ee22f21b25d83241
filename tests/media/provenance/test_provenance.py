"""Provenance: hashes, what containers say, hints, and Content Credentials signed here."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import c2pa
import numpy as np
import pytest
from PIL import Image

from detector.errors import ClipError
from detector.media.provenance import facts
from detector.media.provenance.c2pa import read_credentials
from detector.media.sandboxed_provenance import inspect
from tests.helpers.credentials import Chain, make_chain, manifest, sign
from tests.helpers.processes import ROOT

SAMPLES = ROOT / "assets" / "samples"
CLIP = SAMPLES / "grid_bbaf2n.mp4"
PICTURE = SAMPLES / "portraits" / "tracy_caldwell_nasa.jpg"


@pytest.fixture(scope="module")
def chain() -> Chain:
    return make_chain()


@pytest.fixture
def signed(tmp_path: Path, chain: Chain) -> Path:
    path = tmp_path / "signed.mp4"
    sign(CLIP, path, chain)
    return path


def write_clip(
    path: Path,
    *,
    tags: dict[str, str] | None = None,
    video_tags: dict[str, str] | None = None,
    codec: str = "mpeg4",
    trim: int = 0,
    options: dict[str, str] | None = None,
) -> Path:
    """A clip of noise, 25 frames; with `trim`, an edit list hides the first frames."""
    rng = np.random.default_rng(1)
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata.update(tags or {})
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = 160, 128
        stream.pix_fmt = "yuv420p"
        stream.metadata.update(video_tags or {})
        stream.codec_context.max_b_frames = 0
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(
                rng.integers(0, 255, (128, 160, 3), dtype=np.uint8), format="rgb24"
            )
            frame.pts, frame.time_base = number - trim, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


# --- containers -----------------------------------------------------------------------------


def test_a_clip_of_the_web() -> None:
    found = inspect(CLIP)
    assert found.sha256 == hashlib.sha256(CLIP.read_bytes()).hexdigest()
    assert found.bytes == CLIP.stat().st_size
    assert found.container == "QuickTime / MOV"
    assert found.encoder is not None
    assert found.encoder.startswith("Lavf")
    assert found.video_encoder is not None
    assert found.video_encoder.startswith("x264 core ")
    assert (found.rotation, found.hidden_frames, found.device) == (0, 0, None)
    video = found.streams[0]
    assert (video.kind, video.codec) == ("video", "h264")
    assert video.description == "360×288, yuv420p, 25 frames/s"
    text = " ".join(found.hints)
    assert "last written by FFmpeg" in text
    assert "encoded by software (x264" in text
    assert found.credentials == facts.Credentials("none")


TAGS = {
    "phone": (
        {"com.apple.quicktime.make": "Apple", "com.apple.quicktime.model": "iPhone 99"},
        "names its recording device: Apple iPhone 99. Anyone can write that.",
    ),
    "android": ({"com.android.version": "21"}, "a device with Android 21"),
    "converter": ({"comment": "HandBrake 1.9"}, "HandBrake, a converter"),
    "editor": ({"comment": "Adobe Premiere Pro"}, "a video editor of Adobe"),
    "messenger": ({"comment": "WhatsApp"}, "WhatsApp"),
    "made then": (
        {"creation_time": "2021-03-04T05:06:07.000000Z"},
        "made on 4 March 2021 at 05:06 UTC. Anyone can write that.",
    ),
    "made in the future": ({"creation_time": "2099-01-01T00:00:00.000000Z"}, "in the future"),
    "time left empty": ({"creation_time": "1970-01-01T00:00:00.000000Z"}, "left empty"),
    "nothing said": ({}, "names no camera or phone"),
    "no time": ({}, "does not say when it was made"),
}


@pytest.mark.parametrize(("tags", "sentence"), TAGS.values(), ids=TAGS)
def test_hints_from_tags(tmp_path: Path, tags: dict[str, str], sentence: str) -> None:
    path = write_clip(tmp_path / "clip.mp4", tags=tags, options={"movflags": "use_metadata_tags"})
    found = inspect(path)
    assert sentence in " ".join(found.hints)
    for name, value in tags.items():
        if name != "creation_time":
            assert (name, value) in found.tags


def test_hints_never_claim_proof(tmp_path: Path) -> None:
    paths = [CLIP, PICTURE, write_clip(tmp_path / "c.mp4", trim=5)]
    for path in paths:
        for sentence in (*inspect(path).hints, facts.NOTE):
            lower = sentence.lower()
            assert sentence.endswith(".")
            assert not any(word in lower for word in ("fake", "forged", "proves", "authentic"))
    assert "no evidence of manipulation" in facts.NOTE


def test_edit_list_hides_frames(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", trim=5)
    found = inspect(path)
    assert found.hidden_frames == 5
    assert any("hides 5 frames" in hint for hint in found.hints)
    assert not any("damaged" in hint for hint in found.hints)
    assert inspect(write_clip(tmp_path / "whole.mp4")).hidden_frames == 0


def test_rotation_is_named(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4")
    data = bytearray(path.read_bytes())
    # The matrix of the track header: identity becomes a quarter turn.
    one, identity = bytes.fromhex("00010000"), bytes(4)
    start = data.index(b"tkhd") + 4 + 40
    matrix = [identity, one, identity, bytes.fromhex("ffff0000"), identity, identity]
    data[start : start + 24] = b"".join(matrix)
    path.write_bytes(data)
    assert inspect(path).rotation in (90, 270)


def test_other_containers(tmp_path: Path) -> None:
    webm = inspect(write_clip(tmp_path / "clip.webm", codec="libvpx-vp9"))
    assert webm.container == "Matroska / WebM"
    assert webm.credentials.state == "none"
    assert webm.video_encoder is None
    avi = inspect(write_clip(tmp_path / "clip.avi"))
    assert avi.video_encoder is not None
    assert avi.video_encoder.startswith("Lavc")


def test_pictures_say_what_exif_says(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131] = "Canon", "Canon EOS 99", "Adobe Photoshop 30"
    Image.new("RGB", (200, 200), "grey").save(path, exif=exif)
    found = inspect(path)
    assert found.device == "Canon Canon EOS 99"
    assert found.encoder == "Adobe Photoshop 30"
    assert found.container.startswith("JPEG")
    assert any("editor of Adobe" in hint for hint in found.hints)


def test_a_clip_that_was_cut_off(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[:-20_000])
    found = inspect(path)
    assert any("damaged or cut off" in hint for hint in found.hints)


def test_what_is_no_clip(tmp_path: Path) -> None:
    path = tmp_path / "letter.mp4"
    path.write_text("Dear reader")
    with pytest.raises(ClipError):
        inspect(path)
    with pytest.raises(ClipError):
        inspect(tmp_path / "nothing.mp4")


# --- Content Credentials --------------------------------------------------------------------


def test_signed_file_is_valid(signed: Path) -> None:
    found = inspect(signed).credentials
    assert found.state == "valid"
    assert not found.trusted
    assert (found.signer, found.issuer) == ("Example Camera", "Example Newsroom")
    assert found.generator == "Example Editor 2.1"
    assert found.title == "Example clip"
    assert found.edits == ("Created (captured by a camera)",)
    assert found.problems == ("The signer is not on a list of trust.",)
    assert found.sentence.startswith("Signed by “Example Camera”, and unchanged since.")
    assert "was not checked" in found.sentence


def test_signer_on_the_list_of_trust(signed: Path, chain: Chain) -> None:
    trusted = read_credentials(signed, chain.authority)
    assert (trusted.state, trusted.trusted, trusted.problems) == ("valid", True, ())
    assert "on the list of trust" in trusted.sentence
    stranger = read_credentials(signed, make_chain().authority)
    assert (stranger.state, stranger.trusted) == ("valid", False)


@pytest.mark.parametrize("kind", ["picture", "claims", "cut off"])
def test_altered_copy_is_invalid(signed: Path, chain: Chain, kind: str) -> None:
    data = bytearray(signed.read_bytes())
    if kind == "picture":
        data[-2000] ^= 0xFF
    elif kind == "claims":
        place = data.index(b"Example clip")
        data[place : place + 12] = b"Changed clip"
    else:
        del data[-5000:]
    signed.write_bytes(data)
    found = read_credentials(signed, chain.authority)
    assert found.state == "invalid"
    assert found.problems
    assert "they do not hold" in found.sentence
    if kind == "picture":
        assert found.problems == ("The content of the file was changed after signing.",)


def test_edits_in_plain_words(tmp_path: Path, chain: Chain) -> None:
    source = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    claims = manifest(
        {"action": "c2pa.color_adjustments"},
        {"action": "c2pa.cropped", "softwareAgent": {"name": "Cutter"}},
        {"action": "c2pa.edited", "digitalSourceType": source, "when": "2031-01-02T03:04:05Z"},
        {"action": "com.example.sharpened"},
    )
    claims["assertions"].append({"label": "com.example.note", "data": {"text": "Taken at home"}})
    path = tmp_path / "edited.jpg"
    sign(PICTURE, path, chain, claims)
    found = inspect(path).credentials
    assert found.state == "valid"
    assert found.edits == (
        "Created (captured by a camera)",
        "Colours were adjusted",
        "Cropped, with Cutter",
        "Edited (composed with parts that an AI model generated), on 2031-01-02T03:04:05Z",
        "“com.example.sharpened”",
    )
    assert found.claims == ('com.example.note: {"text": "Taken at home"}',)


def test_what_went_into_a_file_is_named(tmp_path: Path, chain: Chain, signed: Path) -> None:
    path = tmp_path / "second.mp4"
    sign(
        signed,
        path,
        chain,
        manifest(
            ingredients=[
                {"title": "first.mp4", "relationship": "componentOf", "format": "video/mp4"}
            ]
        ),
    )
    found = read_credentials(path)
    assert found.state == "valid"
    assert "first.mp4" in found.ingredients


def test_garbage_that_claims_to_be_credentials(tmp_path: Path, signed: Path) -> None:
    data = bytearray(signed.read_bytes())
    start = data.index(b"jumb") + 4
    data[start : start + 300] = np.random.default_rng(3).bytes(300)
    signed.write_bytes(data)
    found = read_credentials(signed)
    assert found.state in ("invalid", "none")
    assert found.state == "none" or found.problems


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A server on the loopback that notes what it is asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()


def ask_with(settings: dict, path: Path) -> None:
    """Read credentials as the library does when it is left to itself."""
    with (
        c2pa.Context(c2pa.Settings.from_dict(settings)) as context,
        path.open("rb") as file,
        c2pa.Reader(None, file, context=context) as reader,
    ):
        reader.json()


def test_no_network_for_claims_that_lie_elsewhere(
    tmp_path: Path, chain: Chain, server: tuple[str, list[str]]
) -> None:
    address, asked = server
    path = tmp_path / "remote.jpg"
    sign(PICTURE, path, chain, address=f"{address}/claims.c2pa")
    asked.clear()
    found = read_credentials(path)
    assert found.state == "elsewhere"
    assert found.problems == (f"Address: {address}/claims.c2pa",)
    assert "does not visit it" in found.sentence
    assert asked == []
    # The library would have asked: the server and the file are fit to catch it.
    with pytest.raises(c2pa.C2paError):
        ask_with({}, path)
    assert asked == ["/claims.c2pa"]


def test_no_network_for_revocation(tmp_path: Path, server: tuple[str, list[str]]) -> None:
    address, asked = server
    chain = make_chain(revocation_server=f"{address}/ocsp")
    path = tmp_path / "signed.mp4"
    sign(CLIP, path, chain)
    asked.clear()
    assert read_credentials(path, chain.authority).state == "valid"
    assert asked == []
    ask_with({"verify": {"ocsp_fetch": True}}, path)
    assert len(asked) == 1
    asked.clear()
    # And even if that switch were turned, the empty list of hosts holds.
    ask_with({"verify": {"ocsp_fetch": True}, "core": {"allowed_network_hosts": []}}, path)
    assert asked == []


def test_provenance_is_plain_data(signed: Path) -> None:
    import dataclasses

    found = dataclasses.asdict(inspect(signed))
    assert json.loads(json.dumps(found))["credentials"]["signer"] == "Example Camera"

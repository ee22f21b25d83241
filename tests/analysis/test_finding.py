"""Bands at their limits, a state for every condition, and careful words."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from detector.analysis.aggregation import WORDS, aggregate
from detector.analysis.finding import (
    MIN_BITS_PER_PIXEL_OTHERS,
    MIN_FRAMES,
    build_tracks,
    conclude,
    heavily_recompressed,
)
from detector.faces.face import Face
from detector.faces.quality import BRIGHTNESS, MIN_SIZE, measure
from detector.media.clip import Clip
from detector.models.spec import Aggregation
from detector.result import (
    Analysis,
    BandThresholds,
    Finding,
    Quality,
    ScoredFace,
    ScoredFrame,
    Track,
)
from detector.wording import BAND_ORDER, NOT_CALIBRATED, STATE_MEANING
from tests.helpers.crops import original

LIMITS = BandThresholds(-0.2, 0.3, 1.3, calibrated=True, note="")
CLIP = Clip(
    name="clip.mp4", sha256="ab" * 32, bytes=1000, container="mov,mp4", codec="h264", width=640,
    height=360, rotation=0, frame_rate=25.0, variable_frame_rate=False, frames=100, duration=4.0,
    bits_per_pixel=0.1, has_audio=True, creation_time=None, encoder=None, damaged=0,
)  # fmt: skip
STILL = dataclasses.replace(CLIP, frames=1, duration=0.0)


class Share(NamedTuple):
    """A network's place in the ensemble."""

    name: str
    weight: float
    temperature: float = 1.0


NETWORKS = (Share("resnet50", 0.25), Share("xception", 0.75))


def scored(
    logit: float,
    track: int = 1,
    *,
    apart: tuple[float, float] | None = None,
    size: float = 120,
    usable: bool = True,
    brightness: float = 120.0,
) -> ScoredFace:
    one, other = apart or (logit, logit)
    return ScoredFace(
        track=track,
        box=(10, 10, 10 + size, 10 + size),
        key_points=((0.0, 0.0),) * 6,
        detection_score=0.9,
        quality=Quality(size, 300.0, brightness, usable),
        logits={"resnet50": one, "xception": other},
        logit=logit,
        score=1 / (1 + math.exp(-logit)),
    )


def shots(*frames: Sequence[ScoredFace]) -> list[ScoredFrame]:
    return [ScoredFrame(n * 10, n / 2, tuple(faces)) for n, faces in enumerate(frames)]


def tracks_of(frames: list[ScoredFrame], clip: Clip = CLIP) -> tuple[Track, ...]:
    return build_tracks(frames, clip, LIMITS, NETWORKS)


def finding_of(
    frames: list[ScoredFrame], clip: Clip = CLIP, limits: BandThresholds = LIMITS
) -> Finding:
    return conclude(clip, build_tracks(frames, clip, limits, NETWORKS), limits, NETWORKS)


# ---------------------------------------------------------------- bands


@pytest.mark.parametrize(
    ("logit", "band"),
    [
        (-50, "little"),
        (-0.2000001, "little"),
        (-0.2, "inconclusive"),
        (0.0, "inconclusive"),
        (0.2999999, "inconclusive"),
        (0.3, "some"),
        (1.2999999, "some"),
        (1.3, "strong"),
        (50, "strong"),
    ],
)
def test_a_limit_belongs_to_the_band_above_it(logit: float, band: str) -> None:
    assert LIMITS.band_of(logit) == band
    assert finding_of(shots(*[[scored(logit)]] * 5)).band == band


def test_a_higher_logit_never_gives_a_lower_band() -> None:
    order = [BAND_ORDER.index(LIMITS.band_of(x)) for x in np.linspace(-3, 3, 601)]
    assert order == sorted(order)
    assert set(order) == {0, 1, 2, 3}


# ---------------------------------------------------------------- tracks


def test_a_track_is_the_median_of_its_usable_frames() -> None:
    """Unusable faces do not count, however high they score."""
    frames = shots(
        [scored(-1.0)], [scored(9.0, usable=False)], [], [scored(0.5)], [scored(2.0)],
        [scored(0.1)], [scored(9.0, usable=False)],
    )  # fmt: skip
    (track,) = tracks_of(frames)
    assert track == Track(
        id=1, first=0.0, last=3.0, frames=6, usable_frames=4, logit=pytest.approx(0.3),
        score=pytest.approx(1 / (1 + math.exp(-0.3))), band="inconclusive", states=(),
        agreement=1.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("logits", "band"),
    [
        ([2.0, 2.0, 2.0, 2.0, -3.0], "strong"),
        ([2.0, 2.0, 2.0, 0.5, 0.4], "some"),
        ([2.0, 2.0, 2.0, -3.0, -3.0], "inconclusive"),
        ([0.5, 0.5, 0.5, -3.0, -3.0], "inconclusive"),
        ([0.5, 0.5, 0.5, 0.5, -3.0], "some"),
        ([-3.0, -3.0, -3.0, 9.0, 9.0], "little"),
        ([0.0, 0.0, 0.0, -3.0, -3.0], "inconclusive"),
    ],
    ids=["one low", "two lower", "two low", "barely", "one low some", "two high", "middle"],
)
def test_a_band_needs_three_quarters_of_the_frames(logits: list[float], band: str) -> None:
    frames = shots(*[[scored(logit)] for logit in logits])
    found = finding_of(frames)
    assert found.band == band
    lowered = found.band != LIMITS.band_of(float(np.median(logits)))
    assert lowered == any("three quarters" in reason for reason in found.reasons)


@pytest.mark.parametrize("name", ["median", "mean", "trimmed-mean", "top-k"])
def test_a_track_is_aggregated_as_the_calibration_says(name: Aggregation) -> None:
    logits = [2.0, -1.0, 0.5, 4.0, 1.5]
    frames = shots(*[[scored(logit)] for logit in logits])
    (track,) = build_tracks(frames, CLIP, LIMITS, NETWORKS, name)
    assert track.logit == pytest.approx(aggregate(logits, name))
    said = conclude(CLIP, (track,), LIMITS, NETWORKS, name).reasons[0]
    assert WORDS[name] in said


def test_one_wild_frame_does_not_decide() -> None:
    frames = shots(*[[scored(-1.0)]] * 6, [scored(30.0)])
    assert finding_of(frames).band == "little"


def test_every_face_has_its_own_track_in_order_of_number() -> None:
    frames = shots([scored(2.0, 7), scored(-1.0, 2)], *[[scored(-1.0, 2), scored(2.0, 7)]] * 4)
    first, second = tracks_of(frames)
    assert (first.id, first.band, second.id, second.band) == (2, "little", 7, "strong")


@pytest.mark.parametrize(
    ("pairs", "agreement"),
    [
        ([(1, 2)] * 4, 1.0),
        ([(-1, 2)] * 4, 0.0),
        ([(1, 2), (1, -2), (-1, -2), (-1, 2)], 0.5),
        ([(1, 2), (1, 2), (1, 2), (-1, 2)], 0.75),
    ],
)
def test_agreement_counts_frames_in_which_all_networks_are_on_one_side(
    pairs: list[tuple[float, float]], agreement: float
) -> None:
    (track,) = tracks_of(shots(*[[scored(0.5, apart=pair)] for pair in pairs]))
    assert track.agreement == agreement


def test_disagreement_is_said_with_each_networks_share() -> None:
    split = [[scored(0.5, apart=(-1, 1))]] * 4
    united = [[scored(0.5)]] * 6
    said = " ".join(finding_of(shots(*split, *united)).reasons)
    assert "disagree in 40% of its frames" in said
    assert "ResNet50 (share of the score: 25%)" in said
    assert "Xception (share of the score: 75%)" in said
    assert "disagree" not in " ".join(finding_of(shots(*split[:1], *united)).reasons)


# ---------------------------------------------------------------- states, never a forced score


def test_no_face_is_a_state_of_its_own() -> None:
    found = finding_of(shots([], [], []))
    assert found == Finding(None, None, None, None, ("no_face",), (STATE_MEANING["no_face"],))


@pytest.mark.parametrize(
    ("faces", "state"),
    [
        ([scored(3.0)] * (MIN_FRAMES - 1), "too_few_frames"),
        ([scored(3.0, size=20, usable=False)] * 8, "faces_too_small"),
        ([scored(3.0, usable=False, brightness=9)] * 8, "faces_too_dark"),
        ([scored(3.0, usable=False)] * 8, "heavily_recompressed"),
        ([scored(3.0)] * 3 + [scored(3.0, size=20, usable=False)] * 4, "faces_too_small"),
        ([scored(3.0)] * 3 + [scored(3.0, usable=False, brightness=250)] * 4, "faces_too_dark"),
        ([scored(3.0)] * 3 + [scored(3.0, usable=False)] * 4, "heavily_recompressed"),
        ([scored(3.0)] * 3 + [scored(3.0, usable=False)], "too_few_frames"),
        (
            [scored(3.0, size=20, usable=False)] * 2 + [scored(3.0, usable=False)] * 2,
            "too_few_frames",
        ),
    ],
    ids=[
        "few",
        "small",
        "dark",
        "smeared",
        "mostly small",
        "mostly bright",
        "mostly smeared",
        "some smeared",
        "half and half",
    ],
)
def test_faces_that_cannot_be_judged_get_a_state_and_no_band(
    faces: list[ScoredFace], state: str
) -> None:
    frames = shots(*[[face] for face in faces])
    (track,) = tracks_of(frames)
    assert (track.band, track.states) == (None, (state,))
    found = finding_of(frames)
    assert (found.band, found.logit, found.score, found.track) == (None, None, None, None)
    assert found.states == (state,)
    assert found.reasons == (STATE_MEANING[state],)


def test_enough_frames_are_enough() -> None:
    assert finding_of(shots(*[[scored(3.0)]] * MIN_FRAMES)).band == "strong"


def test_one_picture_needs_one_face() -> None:
    found = finding_of(shots([scored(2.0)]), STILL)
    assert found.band == "strong"
    assert any("single picture is weaker evidence" in reason for reason in found.reasons)
    assert not any("between" in reason for reason in found.reasons)
    assert finding_of(shots([scored(2.0, usable=False)]), STILL).band is None


def test_a_track_without_usable_frames_has_no_score() -> None:
    (track,) = tracks_of(shots(*[[scored(3.0, size=20, usable=False)]] * 5))
    assert (track.logit, track.score, track.agreement) == (None, None, None)


@pytest.mark.parametrize(
    ("codec", "bits", "too_low"),
    [
        ("h264", 0.019, True),
        ("h264", MIN_BITS_PER_PIXEL_OTHERS, False),
        ("mpeg4", 0.019, True),
        ("hevc", 0.0099, True),
        ("hevc", 0.01, False),
        ("vp9", 0.012, False),
        ("av1", 0.012, False),
        ("av1", 0.009, True),
    ],
)
def test_heavy_recompression_depends_on_the_codec(codec: str, bits: float, too_low: bool) -> None:
    clip = dataclasses.replace(CLIP, codec=codec, bits_per_pixel=bits)
    assert heavily_recompressed(clip) is too_low
    found = finding_of(shots(*[[scored(3.0)]] * 8), clip)
    assert found.band == (None if too_low else "strong")
    assert found.states == (("heavily_recompressed",) if too_low else ())
    assert not heavily_recompressed(dataclasses.replace(clip, frames=1, duration=0.0))


def test_several_states_are_all_told_the_commonest_first() -> None:
    weak = dataclasses.replace(CLIP, bits_per_pixel=0.001)
    frames = shots(*[[scored(1.0, 1)]] * 8, [scored(1.0, 2)])
    found = finding_of(frames, weak)
    assert found.states == ("heavily_recompressed", "too_few_frames")
    assert found.reasons == tuple(STATE_MEANING[state] for state in found.states)


# ---------------------------------------------------------------- the clip


def test_the_highest_judged_face_decides() -> None:
    frames = shots(*[[scored(-2.0, 1), scored(0.6, 2), scored(-0.1, 3)]] * 5)
    found = finding_of(frames)
    assert (found.track, found.band, found.logit) == (2, "some", pytest.approx(0.6))
    assert found.score == pytest.approx(1 / (1 + math.exp(-0.6)))
    assert "3 faces were followed; face 2 has the highest score" in found.reasons[0]
    assert "between 0.00 s and 2.00 s is +0.60" in found.reasons[1]


def test_a_face_that_cannot_be_judged_decides_nothing_but_is_named() -> None:
    small = scored(9.0, 2, size=20, usable=False)
    found = finding_of(shots(*[[scored(-2.0, 1), small]] * 5))
    assert (found.track, found.band) == (1, "little")
    assert any(reason.startswith("Not judged: face 2 (") for reason in found.reasons)


def test_negative_and_zero_logits_are_compared_as_numbers() -> None:
    assert finding_of(shots(*[[scored(-3.0, 1), scored(-1.0, 2)]] * 5)).track == 2
    assert finding_of(shots(*[[scored(0.0, 1), scored(-1.0, 2)]] * 5)).track == 1


def test_many_unjudged_faces_are_not_all_listed() -> None:
    crowd = [scored(1.0, n, size=20, usable=False) for n in range(2, 30)]
    found = finding_of(shots(*[[scored(-1.0, 1), *crowd]] * 5))
    (reason,) = (reason for reason in found.reasons if reason.startswith("Not judged"))
    assert "2, 3, 4, 5, 6, 7, 8, 9 and others" in reason


@pytest.mark.parametrize(
    ("clip", "words"),
    [
        (dataclasses.replace(CLIP, codec="gif"), "256 colours"),
        (dataclasses.replace(CLIP, damaged=3), "3 of its packets could not be read"),
        (STILL, "single picture"),
    ],
    ids=["gif", "damaged", "still"],
)
def test_what_weakens_the_finding_is_said(clip: Clip, words: str) -> None:
    frames = shots(*[[scored(1.0)]] * 5)
    assert any(words in reason for reason in finding_of(frames, clip).reasons)
    assert not any(words in reason for reason in finding_of(frames).reasons)


def test_provisional_limits_are_said_until_calibrated() -> None:
    frames = shots(*[[scored(1.0)]] * 5)
    provisional = dataclasses.replace(LIMITS, calibrated=False)
    assert finding_of(frames, limits=provisional).reasons[-1] == NOT_CALIBRATED
    assert NOT_CALIBRATED not in finding_of(frames).reasons


def test_no_finding_speaks_of_fake_or_real(sample_analyses: dict[str, Analysis]) -> None:
    for analysis in sample_analyses.values():
        assert analysis.finding.reasons
        for reason in analysis.finding.reasons:
            assert not re.search(r"\b(fakes?|faked|real|genuine|deepfakes?)\b", reason, re.I)
            assert reason.endswith(".")


# ---------------------------------------------------------------- quality


def face_of(size: float) -> Face:
    return Face((0, 0, size, size * 0.8), ((0.0, 0.0),) * 6, 0.9)


@pytest.mark.parametrize(
    ("size", "level", "usable"),
    [
        (MIN_SIZE, 120, True),
        (MIN_SIZE - 0.01, 120, False),
        (120, math.ceil(BRIGHTNESS[0]) + 1, True),
        (120, BRIGHTNESS[0] - 2, False),
        (120, math.floor(BRIGHTNESS[1]) - 1, True),
        (120, BRIGHTNESS[1] + 2, False),
    ],
    ids=["large enough", "too small", "light enough", "too dark", "dark enough", "too bright"],
)
def test_a_face_counts_when_large_and_neither_dark_nor_bright(
    size: float, level: float, usable: bool
) -> None:
    fine = np.indices((304, 304)).sum(axis=0)[..., None] // 2 % 2 * 2 - 1  # steps of two pixels
    quality = measure(face_of(size), (level + fine + np.zeros(3)).astype(np.uint8))
    assert quality.size == size
    assert quality.brightness == pytest.approx(level, abs=1.5)
    assert quality.usable is usable


def test_a_face_without_fine_detail_does_not_count() -> None:
    crop = np.asarray(original())
    assert measure(face_of(200), crop).usable
    small = cv2.resize(crop, (40, 40), interpolation=cv2.INTER_AREA)
    smeared = np.asarray(cv2.resize(small, (304, 304), interpolation=cv2.INTER_CUBIC), np.uint8)
    assert not measure(face_of(200), smeared).usable
    assert not measure(face_of(200), np.full((304, 304, 3), 120, np.uint8)).usable


def test_brightness_is_that_of_the_face_not_of_its_surroundings() -> None:
    crop = np.zeros((128, 128, 3), np.uint8)
    crop[16:112, 16:112] = 100
    assert measure(face_of(100), crop).brightness == pytest.approx(100, abs=1)


def test_sharpness_falls_as_a_picture_blurs() -> None:
    import cv2

    sharp = np.random.default_rng(0).integers(0, 255, (304, 304, 3), dtype=np.uint8)
    values = [measure(face_of(100), sharp).sharpness]
    for sigma in (1, 3, 9):
        values.append(measure(face_of(100), cv2.GaussianBlur(sharp, (0, 0), sigma)).sharpness)
    assert values == sorted(values, reverse=True)
    assert values[0] > 20 * values[-1]

"""detector.evaluation.drift against scipy and hand-computed cases, and the command on a library."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ks_1samp, ks_2samp

from detector.analysis.engine import Engine
from detector.commands import cli
from detector.evaluation import drift
from detector.evaluation.drift import (
    MIN_CLIPS,
    Recent,
    compare,
    deciles,
    difference,
    ks,
    psi,
    shift,
    shifts,
)
from detector.evaluation.result import Distribution, Estimate, Evaluation, read, write
from detector.figures.drift import psi_chart, shares_chart
from detector.library.store import Library
from tests.helpers.apptest import open_page, words
from tests.helpers.examples import Drawn, example
from tests.helpers.measured import evaluation, metrics, reference

UNIFORM = Distribution("size", 10_000, tuple(np.linspace(0, 1, 101).tolist()))


def test_psi_by_hand() -> None:
    # Half a face is added to each of two bins: shares 0.25 and 0.75 of 10 faces against halves.
    counts, expected = np.array([2, 7]), np.array([0.5, 0.5])
    low, high = 2.5 / 10, 7.5 / 10
    by_hand = (low - 0.5) * np.log(low / 0.5) + (high - 0.5) * np.log(high / 0.5)
    assert psi(counts, expected) == pytest.approx(by_hand)
    assert psi(np.array([50, 50]), expected) == pytest.approx(0.0)
    assert np.isfinite(psi(np.array([0, 100]), expected))


@pytest.mark.parametrize("shifted", [0.0, 0.3, 2.0], ids=["none", "some", "far"])
def test_ks_is_scipys(shifted: float) -> None:
    values = np.random.default_rng(3).uniform(size=500) + shifted
    found, p = ks(UNIFORM, values, 500)
    expected = ks_1samp(values, lambda x: np.clip(x, 0, 1), method="exact")
    assert found == pytest.approx(expected.statistic, abs=1e-9)
    assert p == pytest.approx(expected.pvalue, abs=1e-9)


def test_ks_from_quantiles_is_close_to_that_of_the_samples() -> None:
    rng = np.random.default_rng(4)
    before, after = rng.normal(size=4000), rng.normal(0.4, 1.2, size=900)
    quantiles = tuple(np.quantile(before, np.linspace(0, 1, 101)).tolist())
    found, _ = ks(Distribution("logit", 4000, quantiles), after, 900)
    assert found == pytest.approx(ks_2samp(before, after).statistic, abs=0.01)


def test_ks_with_steps_on_both_sides() -> None:
    # Half of both at 0: no difference there.
    quantiles = (0.0,) * 51 + tuple(np.linspace(0.02, 1, 50).tolist())
    values = np.concatenate([np.zeros(500), np.linspace(0.001, 1, 500)])
    assert ks(Distribution("size", 1000, quantiles), values, 100)[0] < 0.03


def test_ks_counts_clips_not_faces() -> None:
    values = np.random.default_rng(5).uniform(size=5000) * 0.9
    assert ks(UNIFORM, values, 20)[1] > 0.5
    assert ks(UNIFORM, values, 5000)[1] < 1e-6


def test_bins_hold_a_tenth_each_and_equal_deciles_one_bin() -> None:
    edges, shares = deciles(UNIFORM)
    assert edges == pytest.approx(np.arange(1, 10) / 10)
    assert shares == pytest.approx([0.1] * 10)
    tied = Distribution("size", 100, (0.0,) * 31 + tuple(np.linspace(0.01, 1, 70).tolist()))
    edges, shares = deciles(tied)
    assert len(shares) == len(edges) + 1
    assert shares.sum() == pytest.approx(1.0)
    assert shares.min() > 0
    assert shares[0] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("moved", "clips", "level"),
    [(0.0, 200, "stable"), (0.4, 400, "moderate"), (1.5, 200, "large"), (1.5, MIN_CLIPS - 1,
     "unknown"), (0.4, MIN_CLIPS, "stable")],
    ids=["none", "moderate", "large", "too-few-clips", "not-more-than-chance"],
)  # fmt: skip
def test_levels(moved: float, clips: int, level: str) -> None:
    values = np.random.default_rng(1).normal(110 + moved, 1, size=4000)
    found = shift(reference()[4], values, clips)
    assert found.level == level
    assert found.sentence.startswith("Brightness: ")
    assert sum(found.shares) == pytest.approx(1.0)
    assert sum(found.expected) == pytest.approx(1.0)


def test_chance_is_what_samples_without_a_shift_give() -> None:
    rng = np.random.default_rng(0)
    chance = drift.psi_of_chance(10, 100, 10_000)
    edges, expected = deciles(UNIFORM)
    drawn = [
        psi(np.bincount(np.searchsorted(edges, rng.uniform(size=100)), minlength=10), expected)
        for _ in range(2000)
    ]
    assert np.mean(np.array(drawn) > chance) == pytest.approx(0.05, abs=0.02)


def test_a_reference_that_does_not_vary_says_nothing() -> None:
    crops = Distribution("size", 1400, (224.0,) * 101)
    found = shift(crops, np.random.default_rng(0).normal(100, 10, size=500), 100)
    assert found.level == "unknown"
    assert "cannot be compared" in found.sentence
    assert np.isfinite([found.psi, found.ks, found.chance]).all()


def test_what_chance_explains_is_no_shift() -> None:
    values = np.random.default_rng(1).normal(110.4, 1, size=4000)
    found = shift(reference()[4], values, MIN_CLIPS)
    assert found.psi >= drift.MODERATE
    assert f"no shift that chance does not explain in {MIN_CLIPS} clips" in found.sentence


def test_measures_that_one_side_lacks_are_left_out() -> None:
    recent = Recent({"size": np.full(30, 90.0)}, 25, 0, None, None)
    assert [one.name for one in shifts(reference(), recent)] == ["size"]
    assert shifts(reference(), Recent({"size": np.zeros(0)}, 0, 0, None, None)) == ()


def test_the_interval_of_a_difference_by_hand() -> None:
    # Zou and Donner: the sides are joined by their squares.
    found = difference(Estimate(0.9, 0.87, 0.92), Estimate(0.8, 0.76, 0.83))
    assert found == pytest.approx(
        (-0.1 - (0.04**2 + 0.02**2) ** 0.5, -0.1 + (0.03**2 + 0.03**2) ** 0.5)
    )
    assert difference(Estimate(None, None, None), Estimate(0.8, 0.7, 0.9)) is None


@pytest.mark.parametrize(
    ("auc", "alarms", "worse", "said"),
    [
        (0.9, 0.05, [False, False, False], "no difference"),
        (0.7, 0.05, [True, False, False], "worse than chance"),
        (0.99, 0.05, [False, False, False], "better than chance"),
        (0.9, 0.4, [False, True, False], "no difference"),
    ],
    ids=["same", "auc-worse", "auc-better", "more-alarms"],
)
def test_what_is_worse_beyond_the_intervals(
    auc: float, alarms: float, worse: list[bool], said: str
) -> None:
    changes = compare(evaluation(), evaluation(clip=metrics(auc=auc, alarms=alarms)))
    assert [change.worse for change in changes] == worse
    assert said in changes[0].sentence
    assert all("clip level" in change.sentence for change in changes)


def test_one_class_only_cannot_be_compared() -> None:
    none = Estimate(None, None, None)
    after = evaluation(clip=dataclasses.replace(metrics(), auc=none))
    assert compare(evaluation(), after)[0].sentence.endswith("not comparable.")
    assert not compare(evaluation(), after)[0].worse


def fill(library: Library, count: int, **kind: Any) -> None:
    now = datetime.datetime.now(datetime.UTC)
    for number in range(count):
        made = (now - datetime.timedelta(days=number)).isoformat(timespec="seconds")
        library.add(
            example(f"{number}.mp4", seed=number, frames=3, faces=1, created=made, **kind), Drawn()
        )


def test_measures_of_the_library(database_url: str) -> None:
    with Library.open(database_url) as library:
        fill(library, 4)
        library.add(example("other.mp4", seed=9, version="v9"), Drawn())
        names = ["resnet50", "xception"]
        found = library.measures(names, "resnet50 v0, xception v0")
        faces = [
            face
            for id in (4, 3, 2, 1)
            for frame in reversed(library.get(id).frames)
            for face in frame.faces
        ]
        assert (found.clips, found.other) == (4, 1)
        assert found.size.tolist() == pytest.approx([face.quality.size for face in faces])
        for name in names:
            assert found.logits[name].tolist() == pytest.approx([f.logits[name] for f in faces])
        assert found.first is not None
        assert found.last is not None
        assert found.first < found.last
        since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1.5)
        assert library.measures(names, "resnet50 v0, xception v0", since).clips == 2
        assert len(library.measures(names, "resnet50 v0, xception v0", most=3).size) == 3
        none = library.measures(names, "resnet50 v7, xception v7")
        assert (none.clips, len(none.size), none.first) == (0, 0, None)


def test_somebody_elses_faces_are_not_counted(database_url: str) -> None:
    with Library.open(database_url) as library:
        fill(library.owned_by("ada"), 2)
        found = library.owned_by("bob").measures(["xception"], "resnet50 v0, xception v0")
        assert (found.clips, found.other) == (0, 0)


def test_logits_are_compared_under_the_references_calibration(tmp_path: Path) -> None:
    with Library.open(tmp_path / "library.sqlite") as library:
        fill(library, 1)
        run = evaluation().run
        recent = drift.recent_faces(library, run)
        face = library.get(1).frames[1].faces[0]  # the last frame holds no face
        each = [face.logits[model.name] / model.temperature for model in run.models]
        total = sum(model.weight for model in run.models)
        mixed = sum(m.weight * logit for m, logit in zip(run.models, each, strict=True)) / total
        assert recent.values["logit"][0] == pytest.approx(mixed)
        assert recent.values["disagreement"][0] == pytest.approx(max(each) - min(each))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(evaluation(), tmp_path / "evaluation.json")
    arguments = ["drift", "--reference", str(tmp_path / "evaluation.json")]
    assert cli.main(arguments) == 0
    assert "The library holds no faces" in capsys.readouterr().out
    with Library.open() as library:
        fill(library, 30)
    assert cli.main(arguments) == 0
    said = capsys.readouterr().out
    assert "60 faces of 30 analyses" in said
    assert "Face size: a large shift" in said
    assert cli.main([*arguments, "--since", "5"]) == 0
    assert "5 clips are too few" in capsys.readouterr().out


def test_the_command_refuses_what_it_cannot_compare_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evaluation.json"
    assert cli.main(["drift", "--reference", str(path)]) == 2
    run = evaluation().run
    other = dataclasses.replace(run.models[0], sha256="0" * 64)
    write(evaluation(run=dataclasses.replace(run, models=(other, run.models[1]))), path)
    assert cli.main(["drift", "--reference", str(path)]) == 2
    assert "of other weights than those installed" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["drift", "--since", "never"])


def test_a_labelled_folder_against_the_last_evaluation(
    engine: Engine,
    tmp_path: Path,
    portraits: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number, path in enumerate(portraits.values()):
        folder = tmp_path / "data" / ("fake" if number % 2 else "real")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}{path.suffix}").write_bytes(path.read_bytes())
    monkeypatch.setattr("detector.commands.evaluate.engine_of", lambda _: engine)
    reference = tmp_path / "evaluation.json"
    again = ["--resamples", "50", "--name", "portraits"]
    assert cli.main(["evaluate", str(tmp_path / "data"), "--out", str(reference), *again]) == 0
    capsys.readouterr()
    arguments = ["drift", "--reference", str(reference), "--data", str(tmp_path / "data"), *again]
    assert cli.main(arguments) == 0
    said = capsys.readouterr().out
    assert "portraits, split all: 2 unaltered and 2 manipulated clips" in said
    assert said.count("no difference that chance does not explain") == 3
    # Measured against a better past, the same clips are worse.
    before = read(Evaluation, reference)
    past = dataclasses.replace(before.clip, auc=Estimate(1.5, 1.5, 1.5))
    write(dataclasses.replace(before, clip=past), reference)
    assert cli.main(arguments) == 1
    assert "worse than chance explains" in capsys.readouterr().out


def test_figures_show_each_bin_and_each_measure() -> None:
    values = np.random.default_rng(1).normal(112, 1, size=1000)
    found = shift(reference()[4], values, 50)
    bars = shares_chart(found).data
    assert [bar.name for bar in bars] == ["Reference", "Recent"]
    assert list(bars[1].y) == list(found.shares)
    assert len(bars[0].x) == len(found.edges) + 1
    chart = psi_chart((found,))
    assert list(chart.data[0].x) == [found.psi]
    assert list(chart.data[1].x) == [found.chance]


def test_the_page_compares_only_once_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    with Library.open() as library:
        fill(library, 25)
    asked = []
    monkeypatch.setattr(Library, "measures", lambda *_: asked.append(1))
    assert not open_page("library").exception
    assert asked == []


def test_the_page_shows_a_sentence_for_each_measure() -> None:
    with Library.open() as library:
        fill(library, 25)
    app = open_page("library")
    app.session_state["drift"] = True
    app.run()
    assert not app.exception
    said = words(app)
    for title in ("Score", "Disagreement", "Face size", "Sharpness", "Brightness"):
        assert f"- {title}\\: " in said
    assert "50 faces of 25 analyses" in said

"""Folds, tuning, publishing, distilling, extracting: what is made of runs."""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import optuna
import pytest
import torch
from safetensors import safe_open

from detector.commands import cli
from detector.datasets.layouts import index_folder
from detector.datasets.table import Table
from detector.errors import TrainingError
from detector.files import ASSETS, MODELS
from detector.models.face_network import FaceNetwork, load_weights
from detector.models.spec import read_ensemble
from detector.training import publish as publish_module
from detector.training import runs as folds_module
from detector.training import runs as runs_module
from detector.training import tune as tune_module
from detector.training.distill import Distiller
from detector.training.extract import extract_faces
from detector.training.folds import cross_validate
from detector.training.history import Scores, read_histories, read_history, running
from detector.training.hulls import find_hulls, read_hulls
from detector.training.module import ClipTrainer
from detector.training.presets import TrainConfig, override
from detector.training.publish import publish_history, publish_summary, publish_weights
from detector.training.runs import HISTORY, Machine, train_run
from detector.training.source import open_data, open_hulls
from detector.training.summaries import read_folds, read_tuning
from detector.training.tune import STUDY, tune

CPU = Machine(accelerator="cpu", devices=1)


@pytest.fixture
def tiny_trainer(monkeypatch: pytest.MonkeyPatch, tiny_network: torch.nn.Module) -> None:
    """Runs train the tiny network where they would make a ResNet50."""
    import copy

    monkeypatch.setattr(
        runs_module, "ClipTrainer", lambda config: ClipTrainer(config, copy.deepcopy(tiny_network))
    )


@pytest.mark.usefixtures("tiny_trainer")
def test_folds_are_runs_and_a_summary(
    tiny_table: Table, tiny_config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = override(tiny_config, name="cv", epochs=2)
    summary = cross_validate(config, tiny_table, {}, tmp_path / "cv", 3, machine=CPU, note="tiny")
    assert [fold.fold for fold in summary.folds] == [1, 2, 3]
    assert read_folds(tmp_path / "cv" / "cv.folds.json") == summary
    scores = [fold.validation.accuracy for fold in summary.folds]
    assert summary.mean("accuracy") == pytest.approx(np.mean(scores))
    assert summary.spread("accuracy") == pytest.approx(np.std(scores, ddof=1))
    history = read_history(tmp_path / "cv" / "fold-2" / HISTORY)
    assert (history.config["fold"], history.config["folds"]) == (2, 3)

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a finished fold was trained again")

    monkeypatch.setattr(folds_module.train_run.__globals__["lightning"], "Trainer", fail)
    again = cross_validate(config, tiny_table, {}, tmp_path / "cv", 3, machine=CPU, note="tiny")
    assert again == summary


@pytest.mark.usefixtures("tiny_trainer")
def test_a_study_goes_on_where_it_was_killed(
    tiny_table: Table, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    config = override(tiny_config, name="study", epochs=1)
    folder = tmp_path / "study"
    first = tune(config, tiny_table, {}, folder, 2, machine=CPU)
    assert [trial.number for trial in first.trials] == [0, 1]
    # What a killed process leaves: a trial that is still running.
    study = optuna.load_study(study_name="study", storage=f"sqlite:///{folder / STUDY}")
    killed = study.ask()
    tune_module.suggest(killed, config)
    second = tune(config, tiny_table, {}, folder, 4, machine=CPU, note="tiny")
    assert [trial.state for trial in second.trials] == [
        "complete",
        "complete",
        "failed",
        "complete",
        "complete",
    ]
    assert second.trials[:2] == first.trials
    assert second.trials[3].params == killed.params
    assert read_tuning(folder / "study.tuning.json") == second
    best = second.trials[second.best]
    assert best.value == max(trial.value for trial in second.trials if trial.value is not None)
    # On drawn crops all trials may come out alike, and then nothing explains a difference.
    if len({trial.value for trial in second.trials if trial.state == "complete"}) > 1:
        assert set(second.importance) == {"gamma", "alpha", "learning_rate", "frames"}
        assert sum(second.importance.values()) == pytest.approx(1)
    else:
        assert second.importance == {}
    history = read_history(folder / "trial-003" / HISTORY)
    assert history.config["gamma"] == best.params["gamma"] or best.number != 3
    assert sqlite3.connect(folder / STUDY).execute("select count(*) from trials").fetchone() == (5,)


def test_blending_is_searched_where_it_is_used(tiny_config: TrainConfig) -> None:
    params = {
        "alpha": 0.25,
        "gamma": 1.0,
        "learning_rate": 1e-4,
        "frames": 3,
        "blend_strength": 0.5,
    }
    trial = optuna.trial.FixedTrial(params)
    found = tune_module.suggest(trial, override(tiny_config, blend_share=0.5))
    assert (found.alpha, found.gamma, found.frames, found.blend_strength) == (0.25, 1.0, 3, 0.5)
    plain = tune_module.suggest(optuna.trial.FixedTrial({**params, "alpha": "none"}), tiny_config)
    assert (plain.alpha, plain.blend_strength) == (None, 1.0)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A copy of the list of models, with links to the weights."""
    folder = tmp_path / "models"
    folder.mkdir()
    for path in MODELS.glob("*.json"):
        shutil.copy(path, folder)
    for path in MODELS.glob("*.safetensors"):
        (folder / path.name).symlink_to(path)
    return folder


def test_only_better_weights_are_published(
    tiny_table: Table,
    tiny_config: TrainConfig,
    tmp_path: Path,
    models: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = override(tiny_config, name="candidate", epochs=1, frames=1, batch=16, freeze=5)
    run = train_run(config, tiny_table, {}, tmp_path / "run", machine=CPU)
    before = {path.name: path.read_bytes()[:4096] for path in models.iterdir()}
    results = iter([Scores(auc=0.6), Scores(auc=0.9), Scores(auc=0.8), Scores(auc=0.7)])
    monkeypatch.setattr(publish_module, "score", lambda *_: next(results))
    where = {"models": models, "training": tmp_path / "training"}
    with pytest.raises(TrainingError, match=r"is better on the test split \(AUC 0.900"):
        publish_weights(run.folder, tiny_table, "v9", **where)
    assert {path.name: path.read_bytes()[:4096] for path in models.iterdir()} == before

    result = publish_weights(run.folder, tiny_table, "v9", **where)
    assert (result.better, result.clips) == (True, 4)
    spec = read_ensemble(models / "ensemble.json").network("resnet50")
    assert (spec.version, spec.input_size, spec.temperature) == ("v9", 32, 1.0)
    network = FaceNetwork("resnet50")
    load_weights(network, spec.path)
    best, _ = runs_module.load_run(run.folder)
    weights = zip(network.parameters(), best.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-3) for a, b in weights)
    card = json.loads((models / "published.json").read_text())["resnet50"]
    assert (card["sha256"], card["test"]["auc"], card["replaced"]["auc"]) == (spec.sha256, 0.8, 0.7)
    assert card["date"]
    with safe_open(spec.path, "pt") as file:
        assert file.metadata()["run"] == "candidate"
    assert read_history(tmp_path / "training" / "candidate.jsonl") == run.history

    other = replace(tiny_table, rows=tiny_table.rows.iloc[1:])
    with pytest.raises(TrainingError, match="trained on other data"):
        publish_weights(run.folder, other, "v9", **where)


def test_scores_are_of_the_test_split(tiny_table: Table, tiny_config: TrainConfig) -> None:
    class Seer(torch.nn.Module):
        """Sees the grid that the drawn manipulated crops carry."""

        def __init__(self) -> None:
            super().__init__()
            self.one = torch.nn.Parameter(torch.ones(1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            steps = images.diff(dim=-1).abs().mean(dim=(1, 2, 3))
            return (steps - 0.3) * self.one

    scores = publish_module.score(Seer(), tiny_config, tiny_table)  # type: ignore[arg-type]
    assert scores.auc == 1


@pytest.mark.usefixtures("tiny_trainer")
def test_histories_are_published_and_found(
    tiny_table: Table, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    run = train_run(override(tiny_config, epochs=1), tiny_table, {}, runs / "a", machine=CPU)
    half = train_run(
        override(tiny_config, name="half"), tiny_table, {}, runs / "b", machine=CPU, stop_after=1
    )
    assert {history.name for history in running(runs)} == {"tiny", "half"}
    target = publish_history(run.folder, training=tmp_path / "assets")
    assert [history.name for history in read_histories(tmp_path / "assets")] == ["tiny"]
    assert read_history(target) == run.history
    with pytest.raises(TrainingError, match="is not finished; resume it"):
        publish_history(half.folder, training=tmp_path / "assets")


def test_the_teacher_is_not_part_of_the_student(tiny_config: TrainConfig) -> None:
    from detector.training.clips import PreparedBatch

    config = override(tiny_config, preset="distill", frames=2)
    distiller = Distiller(config, read_ensemble().network("resnet50"))
    assert not [name for name, _ in distiller.named_parameters() if "teacher" in name]
    batch = PreparedBatch(
        torch.rand(2, 2, 3, 32, 32), torch.tensor([0.0, 1.0]), torch.ones(2), torch.zeros(2)
    )
    teacher = {k: v.clone() for k, v in distiller._teacher[0].state_dict().items()}
    optimizer = torch.optim.AdamW(distiller.parameters(), lr=1e-3)
    losses = []
    for _ in range(4):
        loss = distiller.losses(batch)[1].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(torch.equal(v, teacher[k]) for k, v in distiller._teacher[0].state_dict().items())


def _pictures(root: Path) -> Path:
    """Public-domain portraits as a plain set: no one is altered, the folders are only labels."""
    portraits = sorted((ASSETS / "samples/portraits").iterdir())
    for label in ("real", "fake"):
        (root / label).mkdir(parents=True)
        for path in portraits:
            image = cv2.imread(str(path))
            small = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(root / label / f"{path.stem}.png"), small)
    (root / "real" / "broken.png").write_bytes(b"no picture")
    cv2.imwrite(str(root / "real" / "empty.png"), np.full((200, 200, 3), 127, np.uint8))
    shutil.copy(ASSETS / "samples" / "grid_bbaf2n.mp4", root / "real")
    return root


def test_faces_are_extracted_once_and_used_for_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = _pictures(tmp_path / "set"), tmp_path / "faces"
    table = index_folder(root)
    with pytest.raises(TrainingError, match="extract their faces first"):
        open_data(root)
    result = extract_faces(table, out, frames=3, size=96, jobs=1)
    assert result.damaged == ("real/broken.png",)
    assert result.faceless == ("real/empty.png",)
    rows = result.table.rows
    video = rows[rows["clip"] == "real/grid_bbaf2n"]
    assert len(video) == 3
    assert video["time"].is_monotonic_increasing
    for name in rows["path"]:
        assert cv2.imread(str(out / name)).shape == (96, 96, 3)
    hulls = read_hulls(out / "hulls.npz")
    assert set(hulls) == set(rows["path"])
    for hull in hulls.values():
        assert np.abs(hull[0].mean(axis=0) - 0.5).max() < 0.2

    opened = open_data(out)
    assert opened.fingerprint == result.table.fingerprint
    usable = open_hulls(opened)
    assert usable

    # Stopped after all but one clip: only that one is read again.
    parts = sorted((out / "parts").iterdir())
    parts[0].unlink()
    read: list[str] = []
    from detector.training import extract as module

    original = module._extract
    monkeypatch.setattr(module, "_extract", lambda task: (read.append(task.path), original(task)))
    again = extract_faces(table, out, frames=3, size=96, jobs=1)
    assert len(read) == 1
    assert again.table.fingerprint == result.table.fingerprint


def test_hulls_are_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    portrait = cv2.imread(str(ASSETS / "samples/portraits/grace_hopper_usnavy.jpg"))
    cv2.imwrite(str(tmp_path / "a.png"), portrait)
    cv2.imwrite(str(tmp_path / "b.png"), np.full((64, 64, 3), 127, np.uint8))
    found = find_hulls(tmp_path, ["a.png", "b.png"], tmp_path / "hulls.npz")
    assert found["a.png"].shape == (4, 32, 2)
    assert not found["b.png"].any()
    from detector.training import hulls as module

    monkeypatch.setattr(module, "BlazeFace", lambda: pytest.fail("hulls were found again"))
    again = find_hulls(tmp_path, ["a.png", "b.png"], tmp_path / "hulls.npz")
    assert np.abs(again["a.png"] - found["a.png"]).max() < 1e-3


@pytest.mark.usefixtures("tiny_trainer")
def test_commands_train_resume_and_publish(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = [
        "--data",
        str(tiny_folder),
        "--runs",
        str(tmp_path / "runs"),
        "--init",
        "none",
        "--accelerator",
        "cpu",
        "--quick",
    ]
    assert cli.main(["index", str(tiny_folder), "--out", str(tmp_path / "faces.parquet")]) == 0
    assert "8 real, 8 manipulated clips" in capsys.readouterr().out
    small = ["--epochs", "1", "--frames", "1", "--input-size", "32", "--freeze", "0"]
    assert cli.main(["train", *common, *small]) == 0
    assert "paper-a-quick: best epoch 1 of 1" in capsys.readouterr().out
    assert cli.main(["train", *common, *small]) == 2
    assert "go on with it by --resume" in capsys.readouterr().err
    assert cli.main(["train", *common, *small, "--resume"]) == 0
    assert cli.main(["publish", str(tmp_path / "runs" / "paper-a-quick")]) == 2
    assert "needs --data and --version" in capsys.readouterr().err


def test_summaries_are_published_with_their_histories(
    tiny_trainer: None, tiny_table: Table, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    config = override(tiny_config, name="cv", epochs=1)
    summary = cross_validate(config, tiny_table, {}, tmp_path / "cv", 2, machine=CPU)
    target = publish_summary(tmp_path / "cv" / "cv.folds.json", tmp_path / "assets")
    assert read_folds(target) == summary
    names = {history.name for history in read_histories(tmp_path / "assets" / "cv")}
    assert names == {"cv-fold-1", "cv-fold-2"}

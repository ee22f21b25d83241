from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from detector.datasets.table import Table
from detector.errors import TrainingError
from detector.training.callbacks import InputMeter
from detector.training.clips import (
    Clip,
    ClipData,
    ClipReader,
    Draw,
    EpochSampler,
    clips_of,
    prepare,
)
from detector.training.history import append_line, read_history
from detector.training.module import ClipTrainer
from detector.training.presets import PRESETS, TrainConfig, override, preset, quick
from detector.training.runs import BEST, HISTORY, LAST, Machine, load_run, train_run
from tests.helpers.processes import ROOT

CPU = Machine(accelerator="cpu", devices=1)


@pytest.fixture
def train(tiny_table: Table, tiny_network: torch.nn.Module, tmp_path: Path):
    def run(config: TrainConfig, name: str = "run", **more: object):
        import copy

        module = ClipTrainer(config, copy.deepcopy(tiny_network))
        table = more.pop("table", tiny_table)
        result = train_run(config, table, {}, tmp_path / name, module=module, machine=CPU, **more)
        return result, module

    return run


def _weights(module: ClipTrainer) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in module.network.state_dict().values()])


def test_one_batch_overfits(tiny_table: Table, tiny_config: TrainConfig) -> None:
    """The paper's ResNet50 itself, on one batch, at a small size."""
    config = override(
        tiny_config, batch=8, frames=2, learning_rate=1e-3, dropout=0.0, gamma=0.0, degrade=False
    )
    torch.manual_seed(0)
    data = ClipData(tiny_table, config, {})
    batch = prepare(next(iter(data.train_dataloader())), config, training=True)
    assert set(batch.labels.tolist()) == {0.0, 1.0}
    module = ClipTrainer(config)
    optimizer = torch.optim.AdamW(module.parameters(), lr=config.learning_rate)
    loss = torch.tensor(1.0)
    for _ in range(60):
        loss = module.losses(batch)[1].mean()
        if loss < 0.05:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def test_the_clip_logit_is_the_mean_of_its_frames(
    tiny_config: TrainConfig, tiny_network: torch.nn.Module
) -> None:
    module = ClipTrainer(tiny_config, tiny_network).eval()
    views = torch.rand(3, 5, 3, 32, 32)
    frames = torch.stack([module(views[:, i : i + 1]) for i in range(5)])
    torch.testing.assert_close(module(views), frames.mean(dim=0))


def test_a_run_learns_and_writes_its_history(train, tiny_config: TrainConfig) -> None:
    run, _ = train(override(tiny_config, epochs=6))
    history = run.history
    assert history.finished
    assert [row.epoch for row in history.rows] == [1, 2, 3, 4, 5, 6]
    assert history.rows[-1].samples == 6 * 16 * 2
    assert history.rows[-1].validation.focal_loss < history.rows[0].validation.focal_loss / 2
    for row in history.rows:
        for scores in (row.train, row.validation):
            assert scores.focal_loss is not None
            assert 0 <= scores.auc <= 1
        assert 0 < row.busy < 1
    assert history.best.epoch == history.end["best_epoch"]
    assert history.data["fingerprint"]
    assert "CPU" in history.hardware
    assert not (run.folder / LAST).exists()
    assert (run.folder / BEST).exists()


@pytest.mark.parametrize("ema", [0.0, 0.9], ids=["plain", "ema"])
def test_resuming_gives_the_weights_of_not_stopping(
    train, tiny_config: TrainConfig, ema: float
) -> None:
    config = override(tiny_config, epochs=4, ema=ema, schedule="cosine")
    straight, whole = train(config, "straight")
    train(config, "parts", stop_after=2)
    parts, resumed = train(config, "parts", resume=True)
    assert torch.equal(_weights(whole), _weights(resumed))
    assert len(parts.history.rows) == 4
    for one, other in zip(straight.history.rows, parts.history.rows, strict=True):
        assert one.train == other.train
        assert one.validation == other.validation
        assert one.learning_rate == other.learning_rate
        assert (one.step, one.samples) == (other.step, other.samples)


KILLED = """
import sys, time
from dataclasses import asdict
from pathlib import Path
sys.path.insert(0, {root!r})
import pytorch_lightning as lightning
from tests.helpers.tiny_network import TinyNetwork
from detector.datasets.layouts import index_folder
from detector.training.module import ClipTrainer
from detector.training.presets import TrainConfig
from detector.training.runs import Machine, train_run

class Slow(lightning.Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == 2:
            time.sleep(60)

config = TrainConfig(**{config!r})
train_run(config, index_folder(Path({data!r})), {{}}, Path({folder!r}),
          module=ClipTrainer(config, TinyNetwork()),
          machine=Machine(accelerator="cpu", devices=1, threads=1), callbacks=[Slow()])
"""


def test_a_killed_run_resumes(
    train, tiny_config: TrainConfig, tiny_table: Table, tmp_path: Path
) -> None:
    config = override(tiny_config, epochs=4)
    folder = tmp_path / "killed"
    script = KILLED.format(
        root=str(ROOT),
        config=config.to_dict(),
        data=str(tiny_table.root),
        folder=str(folder),
    )
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    try:
        while process.poll() is None:
            path = folder / HISTORY
            if path.exists() and len(read_history(path).rows) == 2 and (folder / LAST).exists():
                break
            time.sleep(0.1)
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(1)  # the checkpoint of the second epoch is complete, the third has begun
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    # A line that was cut in the middle must not hurt either.
    with (folder / HISTORY).open("a") as stream:
        stream.write('{"kind": "epo')
    assert not read_history(folder / HISTORY).finished
    with pytest.raises(TrainingError, match="already holds a run; go on with it by --resume"):
        train(config, "killed")
    resumed, module = train(config, "killed", resume=True)
    _, whole = train(config, "straight")
    assert [row.epoch for row in resumed.history.rows] == [1, 2, 3, 4]
    assert resumed.history.finished
    assert torch.equal(_weights(module), _weights(whole))


def test_a_finished_run_is_not_trained_again(train, tiny_config: TrainConfig) -> None:
    config = override(tiny_config, epochs=1)
    first, _ = train(config)
    second, _ = train(config, resume=True)
    assert second.history == first.history


@pytest.mark.parametrize(
    ("change", "message"),
    [({"gamma": 1.0}, "has another gamma"), ({"frames": 3}, "has another frames")],
    ids=["gamma", "frames"],
)
def test_resuming_with_other_settings_is_refused(
    train, tiny_config: TrainConfig, change: dict[str, float], message: str
) -> None:
    train(tiny_config, stop_after=1)
    with pytest.raises(TrainingError, match=message):
        train(override(tiny_config, **change), resume=True)


def test_damaged_images_are_skipped_and_counted(
    train, tiny_config: TrainConfig, tiny_table: Table
) -> None:
    damaged = tiny_table.rows.loc[tiny_table.rows["split"] == "train", "path"].tolist()[:3]
    (tiny_table.root / damaged[0]).write_bytes(b"no image")
    (tiny_table.root / damaged[1]).write_bytes(b"")
    (tiny_table.root / damaged[2]).unlink()
    run, _ = train(override(tiny_config, epochs=2))
    assert [row.skipped for row in run.history.rows] == [3, 3]
    assert all(row.train.focal_loss is not None for row in run.history.rows)


def test_a_damaged_frame_leaves_the_clip_its_others(
    tiny_table: Table, tiny_config: TrainConfig
) -> None:
    names = tuple(tiny_table.rows["path"][:3])
    (tiny_table.root / names[1]).write_bytes(b"no image")
    clip = Clip("clip", 1, True, names, ((1.2, 1.0, 1.2),) * 3)
    config = override(tiny_config, frames=4)
    item = ClipReader(tiny_table.root, (clip,), config, {}, True)[Draw(0, False, 5)]
    assert int(item.skipped) == 1
    assert float(item.weights) == 1
    assert len({frame.numpy().tobytes() for frame in item.images}) == 2
    assert len(set(item.seeds.tolist())) == 4


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (lambda rows: rows[rows["label"] == 0], "training clips are all real; add"),
        (lambda rows: rows[rows["label"] == 1], "training clips are all manipulated; add"),
        (lambda rows: rows[rows["split"] != "val"], "no validation clips"),
        (
            lambda rows: rows[(rows["split"] != "val") | (rows["label"] == 0)],
            "validation clips are all real",
        ),
    ],
    ids=["reals only", "manipulated only", "no validation", "one class in validation"],
)
def test_one_sentence_when_the_data_cannot_teach(
    train, tiny_config: TrainConfig, tiny_table: Table, keep, message: str
) -> None:
    table = replace(tiny_table, rows=keep(tiny_table.rows).reset_index(drop=True))
    with pytest.raises(TrainingError, match=message):
        train(tiny_config, table=table)


def test_epochs_of_fewer_clips_go_through_all_of_them() -> None:
    clips = tuple(Clip(str(i), i % 2, True, ("a",), ((1, 1, 1),)) for i in range(60))
    sampler = EpochSampler(clips, override(preset("paper-a"), epoch_clips=12))
    seen: list[int] = []
    for epoch in range(5):
        sampler.set_epoch(epoch)
        draws = [draw.clip for draw in sampler]
        assert sum(clips[clip].label for clip in draws) == 6
        seen += draws
    assert sorted(seen) == list(range(60))


def test_self_blends_take_their_share_and_no_set_tells_the_class() -> None:
    mixed = [Clip(f"m{i}", i % 2, True, ("a",), ((1, 1, 1),)) for i in range(400)]
    alone = [Clip(f"a{i}", 0, False, ("a",), ((1, 1, 1),)) for i in range(100)]
    clips = (*mixed, *alone)
    sampler = EpochSampler(clips, override(preset("paper-a"), blend_share=0.5))
    fakes = blends = fakes_alone = reals = reals_alone = 0
    for epoch in range(10):
        sampler.set_epoch(epoch)
        for draw in sampler:
            clip = clips[draw.clip]
            assert clip.label == 0 or not draw.blend
            if clip.label or draw.blend:
                fakes += 1
                blends += draw.blend
                fakes_alone += not clip.mixed
            else:
                reals += 1
                reals_alone += not clip.mixed
    assert blends / fakes == pytest.approx(0.5, abs=0.01)
    assert fakes_alone / fakes == pytest.approx(reals_alone / reals, abs=0.05)


def test_a_self_blend_counts_as_manipulated(tiny_table: Table, tiny_config: TrainConfig) -> None:
    clips = clips_of(tiny_table, "train")
    real = next(i for i, clip in enumerate(clips) if clip.label == 0)
    hull = np.random.default_rng(0).random((4, 32, 2)).astype(np.float32)
    with_hull = ClipReader(tiny_table.root, clips, tiny_config, {clips[real].paths[0]: hull}, True)[
        Draw(real, True, 1)
    ]
    without = ClipReader(tiny_table.root, clips, tiny_config, {}, True)[Draw(real, True, 1)]
    assert (float(with_hull.labels), bool(with_hull.blend)) == (1.0, True)
    assert (float(without.labels), bool(without.blend)) == (0.0, False)


def test_frozen_stages_do_not_change(
    tiny_table: Table, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    config = override(tiny_config, epochs=1, batch=16, freeze=4)
    module = ClipTrainer(config)
    before = {key: value.clone() for key, value in module.network.state_dict().items()}
    run = train_run(config, tiny_table, {}, tmp_path / "run", module=module, machine=CPU)
    network, history = load_run(run.folder)
    changed = {
        key.split(".")[1]
        for key, value in network.state_dict().items()
        if not torch.equal(value, before[key])
    }
    assert changed >= {"layer4", "0", "3"}
    assert not changed & {"conv1", "bn1", "layer1", "layer2", "layer3"}
    assert history.config["freeze"] == 4


def test_the_meter_adds_up() -> None:
    meter = InputMeter()
    meter.on_train_epoch_start(None, None)
    for step in range(3):
        with meter.preparing():
            time.sleep(0.02)
        meter.on_train_batch_start(None, None, None, step)
        time.sleep(0.05)
        meter.on_train_batch_end(None, None, None, None, step)
    assert meter.prepared >= 0.06
    assert meter.worked >= 0.15
    assert meter.busy == pytest.approx(
        meter.worked / (meter.worked + meter.prepared + meter.waited)
    )


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_quick_keeps_the_frames(name: str) -> None:
    small = quick(preset(name))
    assert small.frames == PRESETS[name].frames
    assert small.quick
    assert small.epochs < PRESETS[name].epochs


def test_presets_are_the_papers() -> None:
    a, b = PRESETS["paper-a"], PRESETS["paper-b"]
    assert (a.epochs, a.frames, a.batch) == (100, 5, 32)
    assert (b.epochs, b.frames, b.batch) == (300, 6, 64)
    assert quick(b).epochs == 3 * quick(a).epochs
    assert quick(b).batch == 2 * quick(a).batch


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gamma": -1.0}, "gamma is -1.0; choose"),
        ({"frames": 0}, "frames is 0"),
        ({"schedule": "linear"}, "no schedule called 'linear'"),
        ({"speed": 1}, "no setting called"),
    ],
)
def test_settings_out_of_range_are_one_sentence(values: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        override(preset("paper-a"), **values)


def test_history_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    append_line(path, {"kind": "epoch"})
    with pytest.raises(TrainingError, match="is not a training history"):
        read_history(path)


def test_a_run_stopped_by_hand_says_how_to_go_on(train, tiny_config: TrainConfig) -> None:
    import pytorch_lightning as lightning

    class Stop(lightning.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
            if trainer.current_epoch == 1:
                raise KeyboardInterrupt

    with pytest.raises(TrainingError, match="stopped after 1 epochs; go on with it by --resume"):
        train(tiny_config, callbacks=[Stop()])
    resumed, _ = train(tiny_config, resume=True)
    assert [row.epoch for row in resumed.history.rows] == [1, 2, 3]


def test_the_averaged_weights_are_kept(train, tiny_config: TrainConfig) -> None:
    run, module = train(override(tiny_config, epochs=1, ema=0.9))
    plain, other = train(override(tiny_config, epochs=1), "plain")
    for folder, trained in ((run.folder, module), (plain.folder, other)):
        kept = torch.load(folder / BEST, weights_only=True)["state_dict"]
        for key, value in trained.network.state_dict().items():
            assert torch.equal(kept[f"network.{key}"], value)
    assert not torch.equal(_weights(module), _weights(other))

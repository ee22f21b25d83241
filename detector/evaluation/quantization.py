"""Int8 models for OpenVINO, built from the installed weights with NNCF, and how well they agree.

Post-training quantization: the networks see crops, and NNCF chooses the 8-bit ranges. The last
two separable convolutions of Xception and both heads stay in float32: there a logit of +5 lost a
fifth of its height, for a twentieth of the time. Where that is still not close enough, NNCF's
accuracy control takes further layers back, one by one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from detector.datasets.labelled import Labelled
from detector.datasets.pictures import crop_for_ensemble, read_picture
from detector.errors import DetectorError, ModelError
from detector.evaluation.agreement import (
    NetworkAgreement,
    Quantization,
    agreement,
    agreement_on_samples,
    refuse_if_worse,
    sample_files,
)
from detector.faces.blazeface import BlazeFace, ConfirmedFaces
from detector.faces.face import FaceDetector
from detector.faces.geometry import crop_face
from detector.files import ASSETS, atomic_write
from detector.media.reader import ClipReader
from detector.models.integrity import sha256_of_pair
from detector.models.networks.registry import NETWORKS
from detector.models.openvino_scorer import OpenVinoScorer, convert
from detector.models.scorer import Crops, Logits, in_batches
from detector.models.spec import EnsembleSpec, NetworkSpec, QuantizedSpec, read_ensemble
from detector.version import __version__

FILE = ASSETS / "model_card" / "quantization.json"
ALLOWED_DIFFERENCE = 0.35  # mean |int8 - float32| of a network's logits, over all crops


def calibration_crops(
    ensemble: EnsembleSpec, extra: Labelled | None = None, most: int = 160, seed: int = 7
) -> Crops:
    """Return crops that show what networks will see: uint8 [n, s, s, 3], n <= 2 `most`.

    Faces of the shipped samples, a third each untouched, blended into themselves (Shiohara and
    Yamasaki, CVPR 2022) and degraded; and as many again of `extra`, two manipulated for each
    that is not: a manipulated face drives the last layers further than any other.
    """
    import torch

    from detector.training.blending import self_blend
    from detector.training.degradations import degrade
    from detector.training.hulls import hulls_of_crop

    rng = np.random.default_rng(seed)
    near: FaceDetector = BlazeFace("short")
    plain = np.stack(list(_faces_of_samples(ensemble)))
    plain = plain[rng.permutation(len(plain))][:most]
    found = [(crop, hulls_of_crop(crop, near)) for crop in plain]
    with_hulls = [(crop, hulls) for crop, hulls in found if hulls is not None]
    third = max(most // 3, 1)
    images = torch.from_numpy(np.stack([crop for crop, _ in with_hulls[:third]]))
    images = images.permute(0, 3, 1, 2).float() / 255
    hulls = torch.from_numpy(np.stack([hulls for _, hulls in with_hulls[:third]]))
    blended = self_blend(images, hulls, torch.arange(len(images)) + seed).images
    half = torch.cat([images[: third // 2], blended[: third - third // 2]])
    worn = degrade(half, torch.arange(len(half)) + seed)
    made = [
        (part.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy() for part in (blended, worn)
    ]
    parts = [plain[:third], *made]
    if extra is not None:
        crops, labels = crops_of(extra.first(most, most), ensemble)
        chosen = np.concatenate(
            [crops[labels == 1][: most * 2 // 3], crops[labels == 0][: most // 3]]
        )
        parts.append(chosen)
    return np.concatenate(parts)


def crops_of(labelled: Labelled, ensemble: EnsembleSpec) -> tuple[Crops, Any]:
    """Read labelled pictures as the networks see them: uint8 [n, s, s, 3], and labels int [n].

    Videos are left out, and so is what cannot be decoded.
    """
    crops, labels = [], []
    for row in labelled.rows.itertuples():
        if not row.crop_factor > 0:
            continue
        try:
            picture = read_picture(labelled.root / row.path)
        except DetectorError:
            continue
        crops.append(crop_for_ensemble(picture, float(row.crop_factor), ensemble))
        labels.append(int(row.label))
    if not crops:
        raise ModelError(
            "The data holds no face crops; index it with `python -m detector index` first."
        )
    return np.stack(crops), np.array(labels)


def quantize(
    spec: NetworkSpec, crops: Crops, *, allowed: float = ALLOWED_DIFFERENCE, seed: int = 7
) -> tuple[Any, bool]:
    """Quantize one network to int8.

    Args:
        spec: the network.
        crops: uint8 [n, s, s, 3] to calibrate on; a quarter of them is kept for the check.
        allowed: mean absolute difference of logits to float32 that is close enough.
        seed: of the order of the crops.

    Returns:
        The OpenVINO model uint8 [n, s, s, 3] -> float32 [n], and whether accuracy control was
        needed.

    Raises:
        ModelError: NNCF is not installed, or the weights are altered.
    """
    try:
        import nncf
    except ImportError as error:
        raise ModelError(
            "NNCF builds the int8 models and is not installed; run make setup again."
        ) from error
    model = convert(spec, crops.shape[1])
    order = np.random.default_rng(seed).permutation(len(crops))
    checked, seen = crops[order[: len(crops) // 4]], crops[order[len(crops) // 4 :]]
    dataset = nncf.Dataset([seen[i : i + 1] for i in range(len(seen))])
    layers = [
        op.get_friendly_name()
        for op in model.get_ordered_ops()
        if op.get_type_name() in ("Convolution", "GroupConvolution", "MatMul")
    ]
    kept = NETWORKS[spec.name].kept_in_float
    options: dict[str, Any] = {
        "preset": nncf.QuantizationPreset.MIXED,
        "subset_size": len(seen),
        "ignored_scope": nncf.IgnoredScope(names=layers[len(layers) - kept :]),
    }
    reference = _run(model, checked)
    # A copy: names of layers differ from one conversion to the next.
    plain = nncf.quantize(model.clone(), dataset, **options)
    if float(np.abs(_run(plain, checked) - reference).mean()) <= allowed:
        return plain, False

    def closeness(compiled: Any, batches: Iterable[Any]) -> tuple[float, list[float]]:
        each = [
            -abs(float(next(iter(compiled(batch).values()))[0]) - float(reference[place]))
            for place, batch in enumerate(batches)
        ]
        return float(np.mean(each)), each

    controlled = nncf.quantize_with_accuracy_control(
        model,
        dataset,
        nncf.Dataset([checked[i : i + 1] for i in range(len(checked))]),
        closeness,
        max_drop=allowed,
        **options,
    )
    return controlled, True


def build(
    folder: Path,
    *,
    extra: Labelled | None = None,
    check: Labelled | None = None,
    most: int = 160,
    say: Callable[[str], None] = lambda _: None,
) -> Quantization:
    """Build int8 models of all installed networks, check them, and put them beside the weights.

    Args:
        folder: of the installed models, with `ensemble.json`.
        extra: face crops to calibrate on besides those of the shipped samples.
        check: face crops to measure the loss of AUC on.
        most: calibration crops of each source.
        say: told what is done next.

    Raises:
        ModelError: an int8 model would lose more than is allowed; nothing is changed then.
    """
    import nncf
    import openvino

    listed = folder / "ensemble.json"
    ensemble = read_ensemble(listed)
    say("Cutting faces out of the shipped samples…")
    crops = calibration_crops(ensemble, extra, most)
    restored, hashes = {}, {}
    with tempfile.TemporaryDirectory(dir=folder, prefix=".int8-") as temporary:
        drafts = Path(temporary)
        built: dict[str, dict[str, str]] = {}
        for network in ensemble.networks:
            say(f"Quantizing {network.name}…")
            model, restored[network.name] = quantize(network, crops)
            draft = drafts / f"{network.name}-int8.xml"
            openvino.save_model(model, draft, compress_to_fp16=False)
            hashes[network.name] = sha256_of_pair(draft)
            built[network.name] = {
                "file": draft.name,
                "sha256": hashes[network.name],
                "of": network.sha256,
            }
        trial = _beside(ensemble, drafts, built)
        say("Comparing with float32…")
        full, quick = OpenVinoScorer(ensemble, "f32"), OpenVinoScorer(trial, "int8")
        report = Quantization(
            software={
                "veriframe": __version__,
                "nncf": nncf.__version__,
                "openvino": openvino.__version__.split("-")[0],
            },
            weights={network.name: network.sha256 for network in ensemble.networks},
            models=hashes,
            kept_in_float={n.name: NETWORKS[n.name].kept_in_float for n in ensemble.networks},
            restored=restored,
            crops=len(crops),
            fingerprint=hashlib.sha256(crops.tobytes()).hexdigest(),
            samples=tuple(agreement_on_samples(full, quick)),
            data=None if check is None else f"{check.name}, {check.split}",
            checked=0 if check is None else len(check.rows),
            networks={} if check is None else agreement(full, quick, *crops_of(check, ensemble)),
        )
        refuse_if_worse(report)
        for file in sorted(drafts.iterdir()):
            file.replace(folder / file.name)
        entry = json.loads(listed.read_text())
        for name, int8 in built.items():
            entry["networks"][name]["int8"] = int8
        with atomic_write(listed) as text:  # last: it names what is there by now
            text.write_text(json.dumps(entry, indent=1, ensure_ascii=False) + "\n")
    return report


def compare_again(folder: Path, check: Labelled | None = None) -> Quantization:
    """Measure the agreement of the installed int8 models anew.

    For after a calibration, which moves bands, or new samples.

    Args:
        folder: of the installed models.
        check: labelled face crops; default, what the report says of them stays.

    Raises:
        ModelError: there are no int8 models or no report of them, or they agree too little now.
    """
    try:
        raw = json.loads(FILE.read_text(encoding="utf-8"))
        found = {name: NetworkAgreement(**entry) for name, entry in raw.pop("networks").items()}
        report = Quantization(**raw | {"samples": (), "networks": found})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{FILE.name} cannot be read; run `python -m detector quantize` without --again."
        ) from error
    ensemble = read_ensemble(folder / "ensemble.json")
    full, quick = OpenVinoScorer(ensemble, "f32"), OpenVinoScorer(ensemble, "int8")
    changed: dict[str, Any] = {"samples": tuple(agreement_on_samples(full, quick))}
    if check is not None:
        crops, labels = crops_of(check, ensemble)
        changed |= {
            "data": f"{check.name}, {check.split}",
            "checked": len(crops),
            "networks": agreement(full, quick, crops, labels),
        }
    report = dataclasses.replace(report, **changed)
    refuse_if_worse(report)
    return report


def write(report: Quantization, path: Path = FILE) -> None:
    """Keep the report for the model card."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dataclasses.asdict(report), indent=1, ensure_ascii=False)
    with atomic_write(path) as draft:
        draft.write_text(text + "\n", encoding="utf-8")


def _beside(ensemble: EnsembleSpec, folder: Path, built: dict[str, dict[str, str]]) -> EnsembleSpec:
    """Return the ensemble with int8 models that are not installed yet."""
    networks = []
    for network in ensemble.networks:
        int8 = built[network.name]
        spec = QuantizedSpec(folder / int8["file"], int8["sha256"], int8["of"])
        networks.append(dataclasses.replace(network, int8=spec))
    return dataclasses.replace(ensemble, networks=tuple(networks))


def _faces_of_samples(ensemble: EnsembleSpec) -> Iterable[Any]:
    finder = ConfirmedFaces()
    for path in sample_files():
        with ClipReader(path) as reader:
            for frame in reader.sample(24):
                for face in finder.detect(frame.image):
                    yield crop_face(frame.image, face.box, ensemble.crop_factor, ensemble.crop_size)


def _run(model: Any, crops: Crops) -> Logits:
    import openvino

    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return in_batches(lambda batch: next(iter(compiled(batch).values())).copy(), crops, 8)

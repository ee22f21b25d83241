"""What a model card's numbers mean, in plain language, and the card as one Markdown text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from detector.evaluation.estimates import number, of_hundred, percent
from detector.evaluation.model_card.card import ModelCard
from detector.evaluation.model_card.text import INTENDED, LICENCES, MISUSE, NO_GROUPS, NOT_COVERED
from detector.evaluation.result import Evaluation, Group, Metrics, Robustness, Variant
from detector.models.networks.registry import network_title
from detector.wording import BAND_ORDER, BAND_SHORT, BANDS

Row = dict[str, str]
WITH_THRESHOLD = BAND_ORDER[1:]  # all but the lowest


def summary(card: ModelCard) -> tuple[str, ...]:
    """Say how right the detector is, one sentence each, for a reader without statistics."""
    said: list[str] = []
    if card.evaluation is not None:
        said += _of_evaluation(card.evaluation)
    if card.robustness is not None:
        said += _of_robustness(card.robustness)
    if card.abstention is not None:
        whole = next((one for one in card.abstention.variants if one.name == "all"), None)
        if whole is not None and None not in (whole.error_all.value, whole.error_judged.value):
            said.append(
                f"Some clips it does not judge, because too little can be seen in them. Over all "
                f"kinds of re-encoding it judges {_hundred(whole.coverage.value)} in 100 clips, "
                f"and is wrong on {_hundred(whole.error_judged.value)} in 100 of those; were it to "
                f"judge all, on {_hundred(whole.error_all.value)} in 100 (clip level)."
            )
    if card.failures is not None:
        count = len(card.failures.failures)
        judged = card.failures.unaltered + card.failures.manipulated
        said.append(
            f"Of {judged} variants of the shipped samples that it judged, {count} came out on the "
            f"wrong side of some evidence; {card.failures.abstained} more it did not judge"
            + (", among them every blended one." if not card.failures.manipulated else ".")
        )
    if card.evaluation is not None:
        name = card.evaluation.run.data.name
        if any(name.lower() in one.trained_on.lower() for one in card.networks):
            said.append(
                f"The networks learned from other clips of the same data set, {name}: on footage "
                "from elsewhere, expect more errors."
            )
        said.append(
            "These rates hold for the data named here. Other cameras, other platforms and newer "
            "methods of manipulation may do much worse."
        )
    return tuple(said)


def _of_evaluation(found: Evaluation) -> list[str]:
    clip, data = found.clip, found.run.data
    said = [
        f"It was tested on {data.clips:,} clips of {data.name} (split {data.split}): {clip.real:,} "
        f"unaltered and {clip.manipulated:,} manipulated."
        + (" Each was one face, cut out before." if data.kinds == ("crop",) else "")
    ]
    some, strong = clip.false_positives["some"], clip.false_positives["strong"]
    if some.value is not None and strong.value is not None:
        said.append(
            f"Of 100 unaltered clips, {of_hundred(some.value)} came out as “some evidence” or "
            f"more, {of_hundred(strong.value)} as “strong evidence” (clip level; "
            f"{percent(some, clip.real)} and {percent(strong, clip.real)}, with 95 % intervals)."
        )
    some, strong = clip.detections["some"], clip.detections["strong"]
    if some.value is not None and strong.value is not None:
        said.append(
            f"Of 100 manipulated clips, {of_hundred(some.value)} came out as “some evidence” or "
            f"more, {of_hundred(strong.value)} as “strong evidence”; the others were missed (clip "
            "level)."
        )
    if clip.auc.value is not None:
        said.append(
            f"Given one clip of each kind, it scores the manipulated one higher in "
            f"{clip.auc.value:.1%} of pairs (area under the ROC curve, clip level)."
        )
    return said


def _of_robustness(found: Robustness) -> list[str]:
    known = [one for one in found.variants if one.metrics.auc.value is not None]
    if len(known) < 2:
        return []
    worst = min(known, key=lambda one: one.metrics.auc.value or 0.0)
    first = known[0]
    said = (
        f"Re-encoding hides traces: the area under the ROC curve is {first.metrics.auc.value:.3f} "
        f"on the clips as they are and lowest, {worst.metrics.auc.value:.3f}, after “{worst.title}”"
    )
    alarms = [one for one in known if one.metrics.false_positives["some"].value is not None]
    most = max(alarms, key=lambda one: one.metrics.false_positives["some"].value or 0.0)
    rate = most.metrics.false_positives["some"].value or 0.0
    return [
        f"{said}. Most false alarms come after “{most.title}”: {_hundred(rate)} in 100 unaltered "
        "clips reach some evidence, were all of them judged (clip level)."
    ]


def _hundred(share: float | None) -> str:
    return "–" if share is None else of_hundred(share)


def metric_rows(found: Evaluation) -> list[Row]:
    """Return the ensemble's metrics at both levels, and each network's at frame level."""
    columns: dict[str, Metrics] = {
        "Ensemble, clip level": found.clip,
        "Ensemble, frame level": found.frame,
        **{f"{network_title(n)}, frame level": one for n, one in found.networks.items()},
    }
    rows: list[Row] = []
    for title, field in (
        ("Area under the ROC curve", "auc"),
        ("Average precision", "average_precision"),
        ("Log loss", "log_loss"),
        ("F1", "f1"),
        ("Accuracy", "accuracy"),
        ("Equal error rate", "eer"),
        ("Calibration error (ECE)", "ece"),
    ):
        rows.append(
            {"": title, **{name: number(getattr(one, field)) for name, one in columns.items()}}
        )
    for band in WITH_THRESHOLD:
        rows.append(
            {
                "": f"Unaltered at {BAND_SHORT[band]} or more",
                **{n: percent(m.false_positives[band], m.real) for n, m in columns.items()},
            }
        )
    return rows


def group_rows(groups: Iterable[Group], first: str) -> list[Row]:
    """Return a row for each data set, method or group of people, clip level."""
    return [
        {
            first: group.name,
            "Unaltered clips": f"{group.metrics.real:,}",
            "Manipulated clips": f"{group.metrics.manipulated:,}",
            "AUC": number(group.metrics.auc),
            "Unaltered at some evidence": percent(
                group.metrics.false_positives["some"], group.metrics.real
            ),
            "Unaltered at strong evidence": percent(
                group.metrics.false_positives["strong"], group.metrics.real
            ),
            "Manipulated at some evidence": percent(
                group.metrics.detections["some"], group.metrics.manipulated
            ),
        }
        for group in groups
    ]


def band_rows(card: ModelCard) -> list[Row]:
    """Return the bands: where each starts, and who reaches it, clip level."""
    fitted = {fit.band: fit for fit in card.calibration.limits} if card.calibration else {}
    clip = card.evaluation.clip if card.evaluation else None
    rows = []
    for band in WITH_THRESHOLD:
        fit = fitted.get(band)
        rows.append(
            {
                "Band": BANDS[band],
                "From logit": f"{getattr(card.bands, band):+.2f}",
                "Meant: unaltered at most": f"{fit.rate:.1%}" if fit else "–",
                "Fitted on unaltered clips": f"{fit.above} of {fit.real}" if fit else "–",
                "With 95 % certainty at most": f"{fit.upper:.1%}" if fit else "–",
                "Unaltered, on the test": percent(clip.false_positives[band], clip.real)
                if clip
                else "–",
            }
        )
    return rows


def robustness_rows(variants: Sequence[Variant]) -> list[Row]:
    """Return a row for each alteration, clip level."""
    return [
        {
            "Alteration": one.title,
            "AUC": number(one.metrics.auc),
            "Unaltered at some evidence": percent(
                one.metrics.false_positives["some"], one.metrics.real
            ),
            "Unaltered at strong evidence": percent(
                one.metrics.false_positives["strong"], one.metrics.real
            ),
            "Manipulated at some evidence": percent(
                one.metrics.detections["some"], one.metrics.manipulated
            ),
            "Not judged": f"{one.abstained:.0%}",
            "What was done": one.about,
        }
        for one in variants
    ]


def abstention_rows(card: ModelCard) -> list[Row]:
    """Return what not judging does, a row for each alteration, clip level."""
    if card.abstention is None:
        return []
    return [
        {
            "Alteration": one.title,
            "Judged": percent(one.coverage),
            "Wrong, judging all": percent(one.error_all),
            "Wrong among the judged": percent(one.error_judged),
            "Wrong among the others": percent(one.error_abstained),
        }
        for one in card.abstention.variants
    ]


def int8_rows(card: ModelCard) -> list[Row]:
    """Compare float32 with int8, a row for each network, frame level."""
    if card.int8 is None:
        return []
    return [
        {
            "Network": network_title(name),
            "AUC, float32": f"{one.auc:.4f}",
            "AUC, int8": f"{one.auc_int8:.4f}",
            "Mean difference of the logit": f"{one.mean:.3f}",
            "Largest": f"{one.most:.3f}",
        }
        for name, one in card.int8.networks.items()
    ]


def int8_sentence(card: ModelCard) -> str:
    """Say on which backend, on what, and whether a band changed."""
    if card.int8 is None:
        return ""
    judged = [one for one in card.int8.samples if one.band or one.band_int8]
    changed = [one for one in judged if one.band != one.band_int8]
    versions = ", ".join(f"{name} {version}" for name, version in card.int8.software.items())
    on = f" Networks are compared on {card.int8.checked:,} labelled crops of {card.int8.data}."
    return (
        f"The 8-bit models are for the backend OpenVINO (built with {versions}). Of "
        f"{len(judged)} judged samples, {len(changed) or 'none'} changed the band."
        + (on if card.int8.data else "")
    )


def failure_rows(card: ModelCard) -> list[Row]:
    """Return each known failure on the shipped samples, clip level."""
    if card.failures is None:
        return []
    return [
        {
            "Sample": one.title,
            "Alteration": one.alteration_title,
            "In truth": "blended into itself" if one.manipulated else "unaltered",
            "Came out as": BAND_SHORT[one.band],
            "Logit": f"{one.logit:+.2f}",
            "File": one.sample,
        }
        for one in card.failures.failures
    ]


def network_rows(card: ModelCard) -> list[Row]:
    """Return the networks: versions, hashes, and how they were trained."""
    return [
        {
            "Network": network_title(one.name),
            "Version": one.version,
            "Weight": f"{one.weight:.0%}",
            "Temperature": f"{one.temperature:.3f}",
            "Input": f"{one.input_size} px",
            "Trained on": one.trained_on,
            "How": one.recipe,
            "From": one.initial,
            "Date": one.date,
            "SHA-256": one.sha256,
            "SHA-256, int8": one.int8_sha256 or "–",
        }
        for one in card.networks
    ]


def measured_rows(card: ModelCard) -> list[Row]:
    """Return on what each part was measured: backend, data, counts and seed."""
    runs = {
        "Evaluation": card.evaluation,
        "Robustness": card.robustness,
        "Abstention": card.abstention,
        "Calibration": card.calibration,
        "Known failures": card.failures,
        "Groups": card.groups,
    }
    return [
        {
            "Part": name,
            "Data": one.run.data.name,
            "Split": one.run.data.split,
            "Clips": f"{one.run.data.clips:,}",
            "Fingerprint": one.run.data.fingerprint,
            "Backend": f"{one.run.backend}, {one.run.precision}",
            "Frames of each": str(one.run.frames),
            "Veriframe": one.run.software,
        }
        for name, one in runs.items()
        if one is not None
    ]


def to_markdown(card: ModelCard) -> str:
    """Write the whole card as one Markdown text, without the charts."""
    versions = ", ".join(f"{network_title(n.name)} {n.version}" for n in card.networks)
    parts = [
        f"# Model card: Veriframe, {versions}",
        *_bullets("In plain language", [*summary(card), *card.missing]),
        *_bullets("Intended use", INTENDED),
        *_bullets("Misuse", MISUSE),
        *_bullets("What it does not cover", NOT_COVERED),
        *_bullets("Training data and licences", LICENCES),
        *_table("Networks", network_rows(card)),
        *_table("Bands (clip level)", band_rows(card)),
    ]
    if card.calibration is not None:
        parts += _bullets("Calibration", calibration_sentences(card))
    if card.evaluation is not None:
        parts += [
            *_table("Error rates", metric_rows(card.evaluation)),
            *_table("By data set (clip level)", group_rows(card.evaluation.by_set, "Data set")),
            *_table("By method (clip level)", group_rows(card.evaluation.by_method, "Method")),
            *_bullets("Notes", card.evaluation.notes),
        ]
    if card.groups is None:
        parts += ["## By group of people", NO_GROUPS]
    else:
        parts += _table("By group of people (clip level)", group_rows(card.groups.by_set, "Group"))
    if card.robustness is not None:
        parts += _table("After re-encoding (clip level)", robustness_rows(card.robustness.variants))
        parts += _bullets("Notes on re-encoding", card.robustness.notes)
    parts += _table("When it does not judge (clip level)", abstention_rows(card))
    if card.int8 is not None:
        parts += ["## 8-bit models (frame level)", int8_sentence(card)]
        parts += _table("", int8_rows(card))
    parts += _table("Known failures on shipped samples (clip level)", failure_rows(card))
    parts += _table("What was measured", measured_rows(card))
    return "\n\n".join(parts) + "\n"


def calibration_sentences(card: ModelCard) -> list[str]:
    """Return the calibration's note, each threshold in words, and the error before and after."""
    if card.calibration is None:
        return []
    said = [card.calibration.note, *(fit.sentence for fit in card.calibration.limits)]
    for quality in (card.calibration.fitted, card.calibration.reported):
        if quality is not None:
            said.append(
                f"On {quality.clips:,} clips of the split {quality.split}, clip level: calibration "
                f"error {number(quality.ece_before)} before and {number(quality.ece_after)} after; "
                f"log loss {number(quality.log_loss_before)} before and "
                f"{number(quality.log_loss_after)} after."
            )
    return [*said, *card.calibration.notes]


def _bullets(title: str, lines: Iterable[str]) -> list[str]:
    items = "\n".join(f"- {line}" for line in lines)
    return [f"## {title}", items] if items else []


def _table(title: str, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + " --- |" * len(rows[0])]
    lines += ["| " + " | ".join(_cell(value) for value in row.values()) + " |" for row in rows]
    return [*([f"## {title}"] if title else []), "\n".join(lines)]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

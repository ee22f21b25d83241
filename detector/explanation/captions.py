"""One or two sentences on every layer, fit for a class."""

from __future__ import annotations

from collections.abc import Sequence

from detector.models.networks.layer import SEPARABLE, Layer


def caption_of(found: Layer, row: Sequence[Layer]) -> str:
    """Say what a layer does, how much it sees, and where its output goes.

    Args:
        found: the layer.
        row: all layers of its network, in forward order.
    """
    if not found.is_map:
        return _dense_caption(found, row)
    return f"{_what_it_does(found)}; {_what_it_can_see(found)}{_where_it_goes(found, row)}."


def _dense_caption(found: Layer, row: Sequence[Layer]) -> str:
    before = row[row.index(found) - 1]
    if found.filters > 1:
        return (
            f"Each of {found.filters} units weighs all {found.inputs:,} maps of "
            f"{_lowered(before)}, averaged over the face, so that where something was seen is "
            "gone and only how strongly is left."
        )
    source = (
        f"the {found.inputs:,} maps of {_lowered(before)}, averaged over the face,"
        if before.is_map
        else f"the {found.inputs} units of {_lowered(before)}"
    )
    return (
        f"One unit adds up {source} to the logit: above 0 speaks for manipulation, "
        "below 0 against it."
    )


def _what_it_does(found: Layer) -> str:
    halves = " and halves the resolution" if found.stride == 2 else ""
    if found.kind == SEPARABLE:
        return (
            f"A separable convolution looks at each of {found.inputs:,} channels by itself in "
            f"windows of {found.kernel} × {found.kernel}, then mixes them into "
            f"{found.filters:,} maps"
        )
    if found.inputs == 3:
        return (
            f"{found.filters} filters of {found.kernel} × {found.kernel} pixels look straight at "
            f"the picture{halves.replace('halves', 'halve')}"
        )
    if found.kernel == 1:
        verb = "widens" if found.filters > found.inputs else "condenses"
        if found.filters == found.inputs:
            verb = "recombines"
        shortcut = ", to which the block's shortcut is added" if found.shortcut else ""
        return (
            f"A 1 × 1 convolution {verb} {found.inputs:,} channels into {found.filters:,}, "
            f"position by position{shortcut}"
        )
    return (
        f"{found.filters} filters compare each position with its neighbours, in windows of "
        f"{found.kernel} × {found.kernel}{', ' + halves.strip() if halves else ''}"
    ).replace(", and halves", ", and halve")


def _what_it_can_see(found: Layer) -> str:
    field, share = found.receptive_field, found.receptive_field / found.input_size
    if share >= 2:
        return "every value can depend on the whole face crop"
    if share >= 1:
        return "a value in the middle can depend on the whole face crop"
    window = f"one value sees {field} × {field} pixels of {found.input_size}"
    if field <= 7:
        return f"{window}, enough for an edge, a colour or grain"
    if share <= 0.2:
        return f"{window}, enough for texture and short lines"
    if share <= 0.5:
        return f"{window}, about the room of one feature such as an eye or a mouth"
    return f"{window}, enough for several features and how they sit together"


def _where_it_goes(found: Layer, row: Sequence[Layer]) -> str:
    dense = [layer for layer in row if not layer.is_map]
    if row[row.index(found) + 1] != dense[0]:
        return ""
    return ", and the average of each map goes on to the dense layer" + "s" * (len(dense) > 1)


def _lowered(layer: Layer) -> str:
    return layer.title[:1].lower() + layer.title[1:]

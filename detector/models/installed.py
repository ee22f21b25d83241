"""Which ensembles are installed: the shipped one, and folders of others to choose from.

`assets/models/ensemble.json` is the default. Others are folders that hold an `ensemble.json` with
its weights: in `assets/models`, in the folders that `VERIFRAME_MODELS` lists, and in `models` of
the person's data folder. A folder's name is the name of its ensemble; the first one found counts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from detector.errors import ModelError
from detector.files import MODELS, data_folder
from detector.models import spec
from detector.models.spec import EnsembleSpec
from detector.result import Model

DEFAULT = "default"  # how people write the name of the shipped ensemble, which is ""
VARIABLE = "VERIFRAME_MODELS"
_NAME = re.compile(r"[\w][\w.+-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class InstalledModels:
    """An ensemble that can be chosen.

    Attributes:
        name: of its folder; "" for the shipped one.
        path: its `ensemble.json`.
    """

    name: str
    path: Path

    @property
    def title(self) -> str:
        """What to call it in a list."""
        return self.name or DEFAULT

    def read(self) -> EnsembleSpec:
        """Return its networks, without weights; raises ModelError where they cannot be used."""
        return spec.read_ensemble(self.path)


def list_models() -> tuple[InstalledModels, ...]:
    """Return all ensembles, the default first, then by name; nothing of them is read yet."""
    found: dict[str, Path] = {}
    for folder in _folders():
        try:
            inside = sorted(folder.iterdir())
        except OSError:
            continue  # not there, or not ours to read: nothing is installed in it
        for place in inside:
            file = place / "ensemble.json"
            if _NAME.fullmatch(place.name) and place.name != DEFAULT and file.is_file():
                found.setdefault(place.name, file)
    default = InstalledModels("", MODELS / "ensemble.json")
    return (default, *(InstalledModels(name, found[name]) for name in sorted(found)))


def get_model(name: str) -> InstalledModels:
    """Return the ensemble called `name`, "" or "default" for the shipped one.

    Raises:
        ModelError: none is called so.
    """
    everything = list_models()
    for one in everything:
        if name in (one.name, one.title):
            return one
    known = ", ".join(one.title for one in everything)
    raise ModelError(f"No models are installed as {name[:60]!r}; choose one of: {known}.")


def find_by_weights(models: Iterable[Model]) -> str:
    """Return the name of the ensemble with those very weights; "", the default, without one.

    Args:
        models: as a result states them. Of ensembles of the same weights, the one whose shares
            and temperatures are the same too is taken.
    """
    models = tuple(models)
    wanted = {model.name: model.sha256 for model in models}
    same: list[tuple[bool, str]] = []
    for one in list_models():
        try:
            networks = one.read().networks
        except ModelError:
            continue  # damaged: it cannot have made the result that is looked for
        if {network.name: network.sha256 for network in networks} == wanted:
            numbers = {network.name: (network.weight, network.temperature) for network in networks}
            exact = all(numbers[m.name] == (m.weight, m.temperature) for m in models)
            same.append((not exact, one.name))
    return min(same, key=lambda found: found[0])[1] if same else ""


def _folders() -> list[Path]:
    listed = os.environ.get(VARIABLE, "")
    others = [Path(part).expanduser() for part in listed.split(os.pathsep) if part.strip()]
    return [MODELS, *others, data_folder() / "models"]

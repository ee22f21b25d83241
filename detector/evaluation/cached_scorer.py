"""Logits kept on disk by the content of the crop, so that a crop is scored once for all commands.

Evaluating, calibrating and altering the same labelled faces asks for the same logits again and
again. The file holds hashes and numbers only, no picture.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from pathlib import Path

import numpy as np

from detector.errors import ModelError
from detector.models.scorer import Crops, Logits, Scorer
from detector.models.spec import EnsembleSpec

CHUNK = 32  # crops scored before what is new is written down


class CachedScorer:
    """A scorer that looks a crop up before it scores it; one call at a time.

    The key is the SHA-256 of crop, weights, backend and precision: a new network or another
    backend finds nothing of the old one.

    Args:
        scorer: what scores the crops that are new.
        path: SQLite file, made where it is missing.

    Raises:
        ModelError: the file cannot be opened as a cache.
    """

    ensemble: EnsembleSpec
    backend: str
    device: str
    precision: str
    batch: int

    def __init__(self, scorer: Scorer, path: Path | str) -> None:
        self.ensemble = scorer.ensemble
        self.backend, self.device = scorer.backend, scorer.device
        self.precision, self.batch = scorer.precision, scorer.batch
        self._scorer = scorer
        self._lock = threading.Lock()
        self._path = Path(path)
        self._salt = {
            network.name: f"{network.sha256}/{scorer.backend}/{scorer.precision}/".encode()
            for network in scorer.ensemble.networks
        }
        try:
            self._kept = sqlite3.connect(self._path, timeout=60, check_same_thread=False)
            self._kept.execute(
                "CREATE TABLE IF NOT EXISTS logits (key BLOB PRIMARY KEY, logit REAL NOT NULL)"
            )
        except sqlite3.Error as error:
            raise ModelError(
                f"{self._path} cannot be used to keep logits ({error}); name another file."
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._kept.close()

    def logits(self, crops: Crops) -> dict[str, Logits]:
        """Return logits float32 [n] by network of crops uint8 [n, s, s, 3]; see `Scorer.logits`."""
        with self._lock:
            parts = [self._some(crops[i : i + CHUNK]) for i in range(0, len(crops), CHUNK)]
        return {
            name: np.concatenate([part[name] for part in parts] or [np.zeros(0, np.float32)])
            for name in self._salt
        }

    def _some(self, crops: Crops) -> dict[str, Logits]:
        keys = {
            name: [hashlib.sha256(salt + crop.tobytes()).digest() for crop in crops]
            for name, salt in self._salt.items()
        }
        try:
            found = {name: [self._find(key) for key in mine] for name, mine in keys.items()}
            new = [
                place
                for place in range(len(crops))
                if any(found[name][place] is None for name in keys)
            ]
            if new:
                scored = self._scorer.logits(np.ascontiguousarray(crops[new]))
                for name in keys:
                    for place, logit in zip(new, scored[name], strict=True):
                        found[name][place] = float(logit)
                with self._kept:
                    self._kept.executemany(
                        "INSERT OR REPLACE INTO logits VALUES (?, ?)",
                        [
                            (mine[place], found[name][place])
                            for name, mine in keys.items()
                            for place in new
                        ],
                    )
        except sqlite3.Error as error:
            raise ModelError(
                f"{self._path} cannot be used to keep logits ({error}); name another file."
            ) from error
        return {name: np.array(values, dtype=np.float32) for name, values in found.items()}

    def _find(self, key: bytes) -> float | None:
        row = self._kept.execute("SELECT logit FROM logits WHERE key = ?", (key,)).fetchone()
        return None if row is None else float(row[0])

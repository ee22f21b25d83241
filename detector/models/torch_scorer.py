"""The networks on PyTorch: float32 on the processor, compiled bfloat16 on a CUDA device."""

from __future__ import annotations

import functools
import logging
from typing import Any

import numpy as np

from detector.errors import BackendError, ModelError, OutOfMemory
from detector.models.scorer import BATCH, Crops, Logits, in_batches
from detector.models.spec import EnsembleSpec, NetworkSpec

CUDA_BATCH = 64


class TorchScorer:
    """The networks on PyTorch; one instance serves any number of threads.

    On CUDA the networks run in bfloat16 and channels-last memory, compiled, and batches travel
    through pinned memory; the last one is filled up to a fixed size, since a compiled network
    would be compiled again for every other.

    Args:
        ensemble: the networks.
        device: "cpu" or "cuda".
        precision: "f32" or "bf16"; default, bf16 on CUDA.
        compiled: run through `torch.compile`; default, on CUDA.
        batch: crops in one pass; default 8 on the processor, 64 on CUDA.

    Raises:
        ModelError: weights are missing or altered.
        BackendError: there is no CUDA device that PyTorch can use.
    """

    backend = "torch"

    def __init__(
        self,
        ensemble: EnsembleSpec,
        device: str = "cpu",
        *,
        precision: str | None = None,
        compiled: bool | None = None,
        batch: int | None = None,
    ) -> None:
        import torch

        from detector.models.face_network import load_network

        cuda = device == "cuda"
        if cuda and not torch.cuda.is_available():
            raise BackendError(
                "PyTorch finds no CUDA device here; install or update the NVIDIA driver, or choose "
                "the backend auto."
            )
        self.ensemble = ensemble
        self.precision = precision or ("bf16" if cuda else "f32")
        self.batch = batch or (CUDA_BATCH if cuda else BATCH)
        self.device = torch.cuda.get_device_name() if cuda else "CPU"
        self._device = torch.device(device)
        self._type = {"f32": torch.float32, "bf16": torch.bfloat16}[self.precision]
        self._fixed = cuda if compiled is None else compiled
        self._networks: dict[str, Any] = {}
        for spec in ensemble.networks:
            network = load_network(spec, self._device).to(self._type)
            # On the processor channels-last makes separable convolutions slower.
            layout = torch.channels_last if cuda else torch.contiguous_format
            self._networks[spec.name] = network.to(memory_format=layout)
        self._compiled = {
            name: torch.compile(network) if self._fixed else network
            for name, network in self._networks.items()
        }

    def logits(self, crops: Crops) -> dict[str, Logits]:
        """Return each network's logits float32 [n] of crops uint8 [n, s, s, 3]."""
        return {
            spec.name: in_batches(functools.partial(self._forward, spec), crops, self.batch)
            for spec in self.ensemble.networks
        }

    def _forward(self, spec: NetworkSpec, crops: Crops) -> Logits:
        import torch

        from detector.models.face_network import normalise

        count = len(crops)
        if self._fixed and count < self.batch:
            padding = np.zeros((self.batch - count, *crops.shape[1:]), crops.dtype)
            crops = np.concatenate([crops, padding])
        batch = torch.from_numpy(crops)
        try:
            with torch.inference_mode():
                if self._device.type == "cuda":
                    batch = batch.pin_memory().to(self._device, non_blocking=True)
                images = normalise(batch, spec).to(self._type)
                logits = self._run(spec.name, images)
                return np.asarray(logits[:count].float().cpu().numpy())
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise OutOfMemory(str(error)) from error
        except RuntimeError as error:
            if "allocate memory" in str(error):  # the processor's allocator
                raise OutOfMemory(str(error)) from error
            raise ModelError(
                f"PyTorch stopped while it scored ({str(error).splitlines()[0]}); choose another "
                "backend."
            ) from error

    def _run(self, name: str, images: Any) -> Any:
        """Run the compiled network; the network as it is where it cannot be compiled here."""
        import torch

        if self._device.type == "cuda":
            images = images.contiguous(memory_format=torch.channels_last)
        try:
            return self._compiled[name](images)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            if self._compiled[name] is self._networks[name]:
                raise
            logging.getLogger("veriframe").warning(
                "%s cannot be compiled here (%s) and runs as it is", name, str(error).split("\n")[0]
            )
            self._compiled[name] = self._networks[name]
            return self._networks[name](images)

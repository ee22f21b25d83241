"""BlazeFace through MediaPipe Tasks: the second backend, imported only when it is chosen.

MediaPipe contacts a Google host for usage metrics within seconds of use, with no switch to
turn that off, and serves one call at a time. The default backend (`detector.faces.blazeface`) does
neither; `PRIVACY_NOTE` is shown where a person chooses this one.
"""

from __future__ import annotations

import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from detector.errors import ModelError
from detector.faces.blazeface import Range, model_file
from detector.faces.face import MIN_SCORE, Face, Image
from detector.faces.geometry import MIN_OVERLAP

PRIVACY_NOTE = (
    "MediaPipe contacts a Google server for usage metrics while it runs; your clip is not sent. "
    "Choose BlazeFace on OpenVINO when nothing may leave this machine."
)


class MediaPipeFaces:
    """The same BlazeFace files through MediaPipe's FaceDetector.

    Args:
        reach: "full" or "short".
        min_score: faces less certain than this are left out, [0, 1].

    Raises:
        ModelError: MediaPipe or a system library that it needs is missing.
    """

    def __init__(self, reach: Range = "full", min_score: float = MIN_SCORE) -> None:
        try:
            from mediapipe.tasks.python import BaseOptions, vision
        except (ImportError, OSError) as error:
            raise ModelError(
                f"MediaPipe cannot start here ({error}); install the system packages "
                "libegl1 and libgles2, or choose BlazeFace on OpenVINO."
            ) from error
        self.name = f"mediapipe-{reach}"
        self._lock = threading.Lock()
        options = vision.FaceDetectorOptions(
            base_options=BaseOptions(model_asset_buffer=_with_metadata(model_file(reach))),
            min_detection_confidence=min_score,
            min_suppression_threshold=MIN_OVERLAP,
        )
        try:
            self._detector = vision.FaceDetector.create_from_options(options)
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(
                f"MediaPipe cannot start here ({error}); choose BlazeFace on OpenVINO."
            ) from error
        weakref.finalize(self, _close, self._detector)

    def detect(self, image: Image) -> tuple[Face, ...]:
        """Return the faces in an RGB image uint8 [h, w, 3], most certain first."""
        import mediapipe

        height, width = image.shape[:2]
        with self._lock:
            found = self._detector.detect(
                mediapipe.Image(
                    image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image)
                )
            )
        faces = []
        for detection in found.detections:
            box = detection.bounding_box
            faces.append(
                Face(
                    box=(
                        float(box.origin_x),
                        float(box.origin_y),
                        float(box.origin_x + box.width),
                        float(box.origin_y + box.height),
                    ),
                    key_points=tuple(
                        (float(point.x * width), float(point.y * height))
                        for point in detection.keypoints
                    ),
                    score=float(detection.categories[0].score),
                )
            )
        return tuple(sorted(faces, key=lambda face: -face.score))


def _close(detector: Any) -> None:
    """End MediaPipe's threads; its own destructor, at Python's end, complains on the terminal."""
    try:
        detector.close()
    except RuntimeError:  # its thread has ended already; the process's end frees the rest
        detector._handle = None


def _with_metadata(path: Path) -> bytes:
    """Return the TFLite file with the NormalizationOptions that MediaPipe Tasks insists on.

    Without them it refuses the file; 127.5 maps pixels to [-1, 1], as BlazeFace expects.
    Written with the flatbuffer schemas that MediaPipe ships, since its own metadata writer
    needs a native module that its wheel leaves out.
    """
    import flatbuffers
    from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata
    from mediapipe.tasks.metadata import schema_py_generated as schema

    normalization = metadata.NormalizationOptionsT()
    normalization.mean, normalization.std = [127.5], [127.5]
    unit = metadata.ProcessUnitT()
    unit.optionsType = metadata.ProcessUnitOptions.NormalizationOptions
    unit.options = normalization
    image = metadata.ImagePropertiesT()
    image.colorSpace = metadata.ColorSpaceType.RGB
    content = metadata.ContentT()
    content.contentPropertiesType = metadata.ContentProperties.ImageProperties
    content.contentProperties = image
    tensor = metadata.TensorMetadataT()
    tensor.name, tensor.processUnits, tensor.content = "image", [unit], content
    subgraph = metadata.SubGraphMetadataT()
    subgraph.inputTensorMetadata = [tensor]
    subgraph.outputTensorMetadata = [metadata.TensorMetadataT(), metadata.TensorMetadataT()]
    described = metadata.ModelMetadataT()
    described.name, described.subgraphMetadata = "BlazeFace", [subgraph]
    builder = flatbuffers.Builder(0)
    builder.Finish(described.Pack(builder), b"M001")

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
    buffer = schema.BufferT()
    buffer.data = builder.Output()
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = "TFLITE_METADATA", len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())

"""The errors a person may read: each message is one sentence that says what to do."""


class DetectorError(Exception):
    """Base of all errors whose message is written for the person at the screen.

    Examples:
        >>> from detector import DetectorError, scan
        >>> try:
        ...     scan("no-such-clip.mp4")
        ... except DetectorError as error:
        ...     print(error)
        “no-such-clip.mp4” cannot be opened; check that it exists.
    """


class ClipError(DetectorError):
    """The clip cannot be read as a video or an image."""


class TooLarge(ClipError):
    """The clip is larger than is allowed here."""


class QueueFull(ClipError):
    """So many analyses wait already that no more are taken now."""


class ModelError(DetectorError):
    """Weights or a backend are missing, damaged or not what they say they are."""


class BackendError(ModelError):
    """This machine cannot run the backend that was asked for; another one may do."""


class OutOfMemory(DetectorError):
    """A batch does not fit into memory; a smaller one may."""


class ResultError(DetectorError):
    """A stored or imported result cannot be read."""


class LibraryError(DetectorError):
    """The library of kept analyses cannot be opened, read or written."""


class ServiceError(DetectorError):
    """The service cannot take or keep what it was sent."""


class TokenError(DetectorError):
    """There is no such token, or it cannot be made as asked."""


class ReportError(DetectorError):
    """A report cannot be written, or does not fit what it is compared with."""


class ExplanationError(DetectorError):
    """A layer, face or method that was asked for does not exist."""


class TrainingError(DetectorError):
    """Training data, settings or a training run cannot be used."""


class EvaluationError(DetectorError):
    """Labelled data, or the result of an evaluation or calibration, cannot be used."""


class ClusterError(DetectorError):
    """A cluster does not answer, or a scan on it cannot begin, go on or keep what it finds."""


class Cancelled(DetectorError):
    """The analysis was stopped on request."""

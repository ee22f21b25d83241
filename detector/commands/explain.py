"""`python -m detector explain CLIP`: where the score of a face comes from."""

from detector.explain import add_explain_arguments as add_arguments
from detector.explain import run_explain as run

__all__ = ["add_arguments", "run"]

"""Veriframe: evidence of face manipulation in video, and a look inside the networks.

Everything in this package works without Streamlit. The way of a frame:
clip -> faces -> crops -> logits -> tracks -> finding; `detector.analysis.scan` knows the
whole way. Nothing heavy is imported here, so that ``import detector`` is instant.
"""

from detector.no_telemetry import switch_off

switch_off()

__version__ = "0.1.0"

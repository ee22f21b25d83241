"""Measure, calibrate, quantize and watch the networks on labelled clips."""

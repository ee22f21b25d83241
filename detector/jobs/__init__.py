"""Analyses in the background: queue, folders, rescans, watched folders."""

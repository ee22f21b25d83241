"""Scan large archives on Ray Data, one row a clip."""

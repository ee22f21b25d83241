"""Labelled crops and clips: layouts, tables, splits."""

"""Previews, crops and thumbnails of analysed frames."""

"""Clips: what one is, how its frames are read, and what its file says of itself."""

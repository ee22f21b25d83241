"""What a clip is, and how its frames are read."""

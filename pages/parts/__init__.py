"""What several pages draw or share; the detector itself is in `detector/`."""

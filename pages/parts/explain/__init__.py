"""The parts of the pages that explain a score: feature maps and attributions."""

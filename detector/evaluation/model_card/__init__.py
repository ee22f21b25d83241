"""What the networks were trained on, what they reach and where they fail."""

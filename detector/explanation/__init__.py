"""Look inside the networks: layers, feature maps, attributions, faithfulness."""

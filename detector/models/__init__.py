"""The networks: what is installed, how it is loaded, how it scores."""

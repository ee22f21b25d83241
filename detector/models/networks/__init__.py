"""The kinds of networks, one file each; imports neither torch nor timm."""

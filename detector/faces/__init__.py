"""Find faces, cut them out, follow them and judge their quality."""

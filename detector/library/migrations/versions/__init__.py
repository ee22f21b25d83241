"""The steps of the library's schema, in order."""

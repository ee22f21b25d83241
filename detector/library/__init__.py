"""The library of analyses that were kept: SQLite or PostgreSQL."""

"""The embedded engine: one SQLite file, FTS5, nothing to install."""

"""The state on disk: SQLite."""

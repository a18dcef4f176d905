"""Watching source directories: what the host changes, and what views change, heard in one order."""

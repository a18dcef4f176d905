"""Fixtures for tests that share volumes between containers."""

"""The daemon: puts the parts together and keeps them for as long as it runs."""

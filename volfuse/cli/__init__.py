"""The `volfuse` command: a client of the daemon's API with Docker's verbs."""

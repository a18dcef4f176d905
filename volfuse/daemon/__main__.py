"""`python -m volfuse.daemon` is `volfused`."""

from __future__ import annotations

from volfuse.daemon.main import main

if __name__ == "__main__":
    raise SystemExit(main())

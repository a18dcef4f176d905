"""Texts of the API that come from names of files, which are any bytes."""

from __future__ import annotations

import base64

__all__ = ["text_fields"]


def text_fields(key: str, value: bytes) -> dict[str, str]:
    """Return the fields of an object that say a text.

    What is no UTF-8 is given with replacement characters, and exactly in a second field ending in `Base64`.
    """
    try:
        return {key: value.decode()}
    except UnicodeDecodeError:
        return {key: value.decode(errors="replace"), f"{key}Base64": base64.b64encode(value).decode()}

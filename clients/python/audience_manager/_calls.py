"""What calls are made of."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True)
class TextBody:
    """A body that is no JSON: CSV or NDJSON, as it is."""

    media_type: str
    text: str


@dataclass(frozen=True)
class StreamEvent:
    """An event of a stream."""

    id: str
    event: str
    data: Any


def path_part(value: object) -> str:
    """A value as a part of a path."""
    return quote(str(value), safe="")

"""A client of Audience Manager: its whole API, and a sender of events."""
from ._calls import StreamEvent, TextBody
from .client import ApiError, AudienceManager
from .sender import EventSender, RefusedEvent, SenderFull

__all__ = ["ApiError", "AudienceManager", "EventSender", "RefusedEvent", "SenderFull", "StreamEvent", "TextBody"]

"""A sender of events: in batches, in their order, until each is accepted or refused."""
from __future__ import annotations

import atexit
import http.client
import json
import logging
import random
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple

from .client import ApiError, AudienceManager

_log = logging.getLogger(__name__)
# Bytes of a request, from which on it is sent without more events.
_BATCH_BYTES = 512 * 1024
# Another attempt may succeed: the server is busy, or still at the first attempt.
_PASSING = (408, 409, 429)


@dataclass(frozen=True)
class RefusedEvent:
    """An event that was refused, with the reason. `pointer` is a JSON pointer into the event."""

    event: Dict[str, Any]
    code: str
    pointer: str
    message: str


class SenderFull(Exception):
    """As many events wait as may wait: the server does not take them."""


@dataclass
class _Batch:
    """A request that is yet to be answered: repeated as it is, under the same key."""

    key: str
    events: List[Dict[str, Any]]


class EventSender:
    """Sends events in batches, in their order, until each is accepted or refused.

    Every event gets a `messageId`, and every batch an `Idempotency-Key`; a batch that fails is sent again as it is. So each
    event counts once, also when an answer is lost or the server is killed in between. Memory is bounded: `send` raises
    `SenderFull` when `max_waiting` events wait. What waits when the program ends is sent then, for `exit_seconds` at most.

    A thread of its own sends, so that `send` never waits. Use it as a context, or call `close`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Optional[Dict[str, str]] = None,
        batch_events: int = 500,
        flush_seconds: float = 1.0,
        max_waiting: int = 10_000,
        backoff_seconds: float = 0.2,
        max_backoff_seconds: float = 30.0,
        exit_seconds: float = 10.0,
        timeout_seconds: float = 30.0,
        on_refused: Optional[Callable[[List[RefusedEvent]], None]] = None,
        on_retry: Optional[Callable[[Exception, float], None]] = None,
    ) -> None:
        self._client = AudienceManager(base_url, headers=headers, timeout_seconds=timeout_seconds)
        self._batch_events = min(batch_events, 10_000)
        self._flush_seconds = flush_seconds
        self._max_waiting = max_waiting
        self._backoff_seconds = backoff_seconds
        self._max_backoff_seconds = max_backoff_seconds
        self._exit_seconds = exit_seconds
        self._on_refused = on_refused
        self._on_retry = on_retry
        self._changed = threading.Condition()
        self._waiting: Deque[Tuple[Dict[str, Any], int]] = deque()
        self._batch: Optional[_Batch] = None
        self._due: Optional[float] = None
        self._is_closed = False
        self._gives_up = False
        self._thread = threading.Thread(target=self._run, name="audience-sender", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def __enter__(self) -> EventSender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """Events that are not yet accepted or refused."""
        with self._changed:
            return self._count()

    def send(self, event: Dict[str, Any]) -> None:
        """Takes an event, to be sent soon."""
        whole = dict(event)
        whole.setdefault("messageId", str(uuid.uuid4()))
        size = len(json.dumps(whole))
        with self._changed:
            if self._is_closed:
                raise ValueError("the sender is closed")
            if self._count() >= self._max_waiting:
                raise SenderFull(f"{self._max_waiting} events wait to be sent; the server does not take them")
            self._waiting.append((whole, size))
            if len(self._waiting) >= self._batch_events:
                self._due = 0.0
            elif self._due is None:
                self._due = time.monotonic() + self._flush_seconds
            self._changed.notify_all()

    def flush(self, timeout_seconds: Optional[float] = None) -> int:
        """Sends what waits; returns how many are neither accepted nor refused when the time is over."""
        with self._changed:
            self._due = 0.0
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._count() == 0, timeout_seconds)
            return self._count()

    def close(self, timeout_seconds: Optional[float] = None) -> int:
        """Sends what waits and takes no more; returns how many had to be given up."""
        with self._changed:
            self._is_closed = True
        left = self.flush(self._exit_seconds if timeout_seconds is None else timeout_seconds)
        with self._changed:
            self._gives_up = True
            self._changed.notify_all()
        atexit.unregister(self.close)
        return left

    def _count(self) -> int:
        return len(self._waiting) + (len(self._batch.events) if self._batch else 0)

    def _run(self) -> None:
        wait = self._backoff_seconds
        while True:
            batch = self._next_batch()
            if batch is None:
                return
            try:
                self._attempt(batch)
                wait = self._backoff_seconds
            except (ApiError, OSError, http.client.HTTPException, ValueError) as error:
                least = error.retry_after_seconds if isinstance(error, ApiError) else None
                # Spread, so that senders that failed together do not come back together.
                rest = max(least or 0.0, wait * random.uniform(0.5, 1.0))
                if self._on_retry:
                    self._on_retry(error, rest)
                with self._changed:
                    self._changed.wait_for(lambda: self._gives_up, rest)
                wait = min(2 * wait, self._max_backoff_seconds)

    def _next_batch(self) -> Optional[_Batch]:
        """Waits for the events that go together next; none once the sender gives up."""
        with self._changed:
            while not self._gives_up:
                if self._batch:
                    return self._batch
                left = None if self._due is None else self._due - time.monotonic()
                if self._waiting and left is not None and left <= 0:
                    self._batch = self._gather()
                    self._due = time.monotonic() + self._flush_seconds if self._waiting else None
                    if len(self._waiting) >= self._batch_events or self._is_closed:
                        self._due = 0.0
                    return self._batch
                self._changed.wait(None if not self._waiting else left)
            return None

    def _gather(self) -> _Batch:
        events, size = [], 0
        while self._waiting and len(events) < self._batch_events and size < _BATCH_BYTES:
            event, bytes_of_event = self._waiting.popleft()
            events.append(event)
            size += bytes_of_event
        return _Batch(str(uuid.uuid4()), events)

    def _attempt(self, batch: _Batch) -> None:
        """Sends a batch; it is done unless this raises, and then it is to be sent again as it is."""
        try:
            rejected = self._client.send_events(batch.events, idempotency_key=batch.key)["rejected"]
        except ApiError as error:
            if error.status >= 500 or error.status in _PASSING:
                raise
            if error.status == 413 and len(batch.events) > 1:
                self._halve(batch)
                return
            whole = {"code": error.code, "pointer": "", "message": str(error)}
            rejected = error.rejected or [{"index": index, **whole} for index in range(len(batch.events))]
        self._refuse(batch.events, rejected)
        with self._changed:
            self._batch = None
            self._changed.notify_all()

    def _halve(self, batch: _Batch) -> None:
        """Too large together: halves go one after the other, each under a key of its own."""
        half = (len(batch.events) + 1) // 2
        with self._changed:
            self._waiting.extendleft((event, len(json.dumps(event))) for event in reversed(batch.events[half:]))
            self._batch = _Batch(str(uuid.uuid4()), batch.events[:half])
            self._due = 0.0

    def _refuse(self, events: List[Dict[str, Any]], rejected: List[Any]) -> None:
        refused = [
            RefusedEvent(events[one["index"]], one["code"], one["pointer"], one["message"])
            for one in rejected
            if one["index"] < len(events)
        ]
        if not refused:
            return
        if self._on_refused:
            self._on_refused(refused)
            return
        for one in refused:
            _log.error("The server refuses an event at %r: %s", one.pointer, one.message)

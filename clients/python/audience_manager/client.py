"""A client of the whole API."""
from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any, Dict, Iterator, List, Optional
from urllib.parse import urlencode

from ._calls import StreamEvent, TextBody
from .operations import Operations


class ApiError(Exception):
    """An answer that says why not, in the server's words."""

    def __init__(self, status: int, problem: Dict[str, Any], retry_after: Optional[str] = None) -> None:
        super().__init__(problem.get("detail") or problem.get("title") or f"The server answered {status}")
        self.status = status
        # A stable word for programs.
        self.code: str = problem.get("code", "")
        self.errors: List[Dict[str, Any]] = problem.get("errors", [])
        # Events that are durable all the same.
        self.accepted: int = problem.get("accepted", 0)
        self.rejected: List[Dict[str, Any]] = problem.get("rejected", [])
        # Seconds after which the server asks to be tried again.
        self.retry_after_seconds = int(retry_after) if retry_after and retry_after.isdigit() else None


class AudienceManager(Operations):
    """A client of the whole API: one method for each operation. A call that fails is not repeated.

    `headers` go with every call. A call without an answer after `timeout_seconds` raises `TimeoutError` or `OSError`.
    """

    def __init__(
        self, base_url: str, *, headers: Optional[Dict[str, str]] = None, timeout_seconds: float = 30.0
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = dict(headers or {})
        self._timeout_seconds = timeout_seconds

    def _call(self, method: str, path: str, **parts: Any) -> Any:
        with self._open(method, path, "application/json, text/csv;q=0.9, */*;q=0.1", **parts) as answer:
            content = answer.read()
            if answer.headers.get_content_type() == "application/json":
                return json.loads(content)
            return content.decode() or None

    def _follow(self, method: str, path: str, **parts: Any) -> Iterator[StreamEvent]:
        with self._open(method, path, "text/event-stream", **parts) as answer:
            fields: Dict[str, str] = {}
            data: List[str] = []
            for line in answer:
                name, _, value = line.decode().rstrip("\r\n").partition(":")
                value = value[1:] if value.startswith(" ") else value
                if name == "data":
                    data.append(value)
                elif name in ("id", "event"):
                    fields[name] = value
                elif not name and not value:
                    if data:
                        yield StreamEvent(
                            fields.get("id", ""), fields.get("event", "message"), json.loads("\n".join(data))
                        )
                    fields, data = {}, []

    def _open(
        self,
        method: str,
        path: str,
        accept: str,
        *,
        query: Optional[Dict[str, Any]] = None,
        headers: Optional[Dict[str, Any]] = None,
        body: Any = None,
    ) -> Any:
        url = self._base_url + path
        pairs = [(name, one) for name, value in (query or {}).items() for one in _values(value)]
        if pairs:
            url += "?" + urlencode(pairs)
        sent = {"accept": accept, **self._headers}
        # Headers are bytes; names of people are UTF-8.
        sent.update({name: str(value).encode().decode("latin-1") for name, value in (headers or {}).items() if value is not None})
        content = None
        if isinstance(body, TextBody):
            content, sent["content-type"] = body.text.encode(), body.media_type
        elif body is not None:
            content, sent["content-type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(url, data=content, headers=sent, method=method)
        try:
            return urllib.request.urlopen(request, timeout=self._timeout_seconds)
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(error.code, _problem(error.read()), error.headers.get("retry-after")) from None


def _values(value: Any) -> List[Any]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return [str(one).lower() if isinstance(one, bool) else one for one in values if one is not None]


def _problem(content: bytes) -> Dict[str, Any]:
    try:
        problem = json.loads(content)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}

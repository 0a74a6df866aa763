"""One call to Google Cloud: its time-out, when it is tried again, and what its failure means.

Google's clients have no retries of their own, wait for 600 s, and fail with errors of three families without a common
base: of the API, of the credentials, and of the connection. An answer that cannot be parsed is a fourth.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, TypeVar

from ..errors import CostModelError
from .concurrent_calls import TimeLimit

T = TypeVar("T")
Send = Callable[[float], T]  # takes a time-out in seconds

CALL_S = 10.0  # one request; pages of prices are some megabytes
_TRIES = 3
_FIRST_PAUSE_S = 0.5  # doubled each time, and never shorter than the cloud asks for
_LONGEST_WORDS = 160


class CallFailure(StrEnum):
    """What a call that failed says of others."""

    DENIED = "denied"  # credentials or permission: nothing else of this kind will be answered either
    REFUSED = "refused"  # not this machine, place or version of the service
    BUSY = "busy"  # too many requests, or out of service for now: worth another try
    FAILED = "failed"  # no answer, or none that can be read


class CallFailedError(CostModelError):
    """A call was not answered. The message says why, for people."""

    def __init__(self, kind: CallFailure, because: str, retry_after_s: float = 0.0) -> None:
        super().__init__(because)
        self.kind = kind
        self.retry_after_s = retry_after_s


def call(send: Send[T], deadline: TimeLimit) -> T:
    """Send a request, up to three times while the cloud is busy, and never past ``deadline``.

    Raises:
        CallFailedError: it was not answered.
    """
    pause_s = _FIRST_PAUSE_S
    for attempt in range(1, _TRIES + 1):
        failed = _try(send, deadline)
        if not isinstance(failed, CallFailedError):
            return failed
        pause_s = max(pause_s, failed.retry_after_s)
        if failed.kind is not CallFailure.BUSY or attempt == _TRIES or pause_s >= deadline.left_s:
            raise failed
        time.sleep(pause_s)
        pause_s *= 2
    raise AssertionError("the last try returns or raises")


def pages(list_page: Callable[[str, float], Any], deadline: TimeLimit) -> Iterator[Any]:
    """Every page of a list, each a call of its own. ``list_page`` takes a page's token and a time-out.

    Raises:
        CallFailedError: a page was not answered; those before it have been given.
    """
    token, seen = "", {""}
    while True:
        page = call(lambda timeout_s: next(iter(list_page(token, timeout_s).pages)), deadline)  # noqa: B023 - sent at once
        yield page
        token = page.next_page_token
        if token in seen:  # the last page, or a server that goes in circles
            return
        seen.add(token)


def _try(send: Send[T], deadline: TimeLimit) -> T | CallFailedError:
    left_s = deadline.left_s
    if left_s <= 0:
        return CallFailedError(CallFailure.FAILED, "not asked: the time for all answers was over")
    try:
        return send(min(CALL_S, left_s))
    except Exception as error:
        failed = _meaning(error)
        if failed is None:
            raise
        return failed


def _meaning(error: Exception) -> CallFailedError | None:
    """What a client's error says; None for one that no client raises."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.protobuf.json_format import ParseError
    from requests.exceptions import RequestException

    match error:
        case GoogleAPIError():
            return _refusal(error)
        case GoogleAuthError():
            return CallFailedError(CallFailure.DENIED, f"Google does not take the credentials: {short(error)}")
        case RequestException():
            return CallFailedError(CallFailure.FAILED, _unreached(error))
        case ParseError():
            return CallFailedError(CallFailure.FAILED, f"the answer cannot be read: {short(error)}")
        case AttributeError() | LookupError() | TypeError() | ValueError():
            # What the clients make of bodies that are JSON of another shape, and of names that make no address.
            return CallFailedError(CallFailure.FAILED, f"the client fails with {type(error).__name__}: {short(error)}")
    return None


def _refusal(error: Any) -> CallFailedError:
    status = int(getattr(error, "code", None) or 0)
    said = f"{status or type(error).__name__} {short(getattr(error, 'message', error))}"
    match status:
        case 401 | 403:
            return CallFailedError(CallFailure.DENIED, f"no permission: {said}")
        case 400 | 404 | 405 | 501:
            return CallFailedError(CallFailure.REFUSED, f"refused: {said}")
        case 429 | 503:
            return CallFailedError(CallFailure.BUSY, f"busy: {said}", _retry_after_s(error))
    return CallFailedError(CallFailure.FAILED, f"failed: {said}")


def _retry_after_s(error: Any) -> float:
    """Seconds that the cloud asks to wait; 0.0 where it does not, or names a date."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    text = str(headers.get("Retry-After", ""))
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _unreached(error: Exception) -> str:
    from requests.exceptions import ChunkedEncodingError, Timeout

    if isinstance(error, Timeout):
        return "no answer in time"
    if isinstance(error, ChunkedEncodingError):
        return "the answer was cut off"
    return f"not reached ({type(error).__name__}); is there a network, is the address right?"


def short(words: object) -> str:
    """Somebody else's words on one line of printable characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(words)).split())
    return line if len(line) <= _LONGEST_WORDS else f"{line[: _LONGEST_WORDS - 3]}..."

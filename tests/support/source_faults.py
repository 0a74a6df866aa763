"""What a cloud, a network or an account does to a source of prices."""

from __future__ import annotations

from enum import Enum, auto


class Fault(Enum):
    """Of one service, until it is set to None again."""

    REFUSED = auto()  # nobody listens
    FORBIDDEN = auto()  # 403: the account may not
    NOT_FOUND = auto()  # 404
    THROTTLED = auto()  # 429, or as the cloud writes it
    UNAVAILABLE = auto()  # 503
    EMPTY = auto()  # 200 and nothing
    GARBAGE = auto()  # 200 and something else, as proxies of hotels answer
    CUT = auto()  # the connection ends in the middle of an answer
    HANGS = auto()  # the request is taken, and no answer comes
    BAD_NUMBERS = auto()  # prices and others are NaN, negative, zero, absent

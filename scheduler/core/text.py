"""Words for people that follow from a number."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """``1 run``, ``3 runs``, ``1,200 studies``.

    Args:
        many: the plural, where it is not ``one`` with an s.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"

"""The documentation's pages, and what stands in their fences."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FENCE = re.compile(r"^( *)```([a-z]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def repository() -> Path:
    return REPOSITORY


@pytest.fixture
def fenced() -> Callable[..., list[str]]:
    """The texts of a page's fenced blocks of one language."""

    def blocks(page: Path, language: str) -> list[str]:
        return [text for _, found, text in FENCE.findall(page.read_text(encoding="utf-8")) if found == language]

    return blocks

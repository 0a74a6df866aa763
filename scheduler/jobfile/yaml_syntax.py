"""What keeps a text from being YAML, said so that one sees where to mend it.

A parser notices a slip where it can go on no longer, which may be far behind. So each check looks at what stands there
in the text, and says where the slip is likely to be.
"""

from __future__ import annotations

import re

import yaml
from yaml.error import Mark, MarkedYAMLError
from yaml.tokens import ScalarToken

_CLOSING = {"[": "]", "{": "}"}
_QUOTES = ("'", '"')
_NEVER_FIRST = ("@", "`", "%")  # no plain text of YAML begins with one of these
_OPENS_BLOCK = re.compile(r"[|>][+-]?\d?[+-]?\s*(?:\s#.*)?$")
_ANYWHERE_ELSE = "allowed: YAML"


def syntax_fault(error: yaml.YAMLError, text: str, source: str) -> str:
    """One line with the place and what to mend there."""
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return f"{source}:1: not YAML: {getattr(error, 'reason', error)}; allowed: text without control characters"
    at = error.problem_mark
    for check in (_open_quote, _open_bracket, _after_quote, _not_indented, _colon, _first_character):
        found = check(error, at, text)
        if found is not None:
            mark, message = found
            return f"{source}:{mark.line + 1}:{mark.column + 1}: not YAML: {message}"
    return f"{source}:{at.line + 1}:{at.column + 1}: not YAML: {error.problem}; {_ANYWHERE_ELSE}"


def missing_spaces(text: str) -> str:
    """A hint for a file that is one text, such as ``run:x``."""
    return "; did you forget the space after each colon" if re.match(r"\w+:\S", text) else ""


_Found = tuple[Mark, str] | None


def _open_quote(error: MarkedYAMLError, at: Mark, text: str) -> _Found:
    """A quoted text in which the file ends."""
    begins = error.context_mark
    if begins is None or _at(text, begins) not in _QUOTES or at.index < len(text.rstrip()):
        return None
    return begins, f"the quote {_at(text, begins)} that begins here is never closed; allowed: the same quote at its end"


def _open_bracket(error: MarkedYAMLError, at: Mark, text: str) -> _Found:
    begins = error.context_mark
    bracket = "" if begins is None else _at(text, begins)
    if begins is None or bracket not in _CLOSING:
        return None
    where = f"line {at.line + 1}"
    return (
        begins,
        f"the {bracket} that begins here is not closed by {where}; allowed: {_CLOSING[bracket]} at its end",
    )


def _after_quote(error: MarkedYAMLError, at: Mark, text: str) -> _Found:
    """Text behind a closing quote: it was closed too early, or an earlier one was not closed at all."""
    before = None
    for token in _tokens(text):
        if token.start_mark.index >= at.index:
            break
        before = token
    if not isinstance(before, ScalarToken) or before.style not in _QUOTES:
        return None
    begins, ends = before.start_mark, before.end_mark
    if begins.line != ends.line:
        closed = f"is closed only on line {ends.line + 1}"
        return begins, f"the quote {before.style} that begins here {closed}; allowed: the same quote at its end"
    rule = "a quote inside is written twice: 'it''s'" if before.style == "'" else r"a quote inside is written \""
    return at, f"found text behind a closing quote; allowed: quotes around the whole value; {rule}"


def _not_indented(error: MarkedYAMLError, at: Mark, text: str) -> _Found:
    """A line that belongs to a block, or a key without its colon."""
    begins = error.context_mark
    if begins is None or not isinstance(error, yaml.scanner.ScannerError):
        return None
    lines = text.splitlines()
    above = next((n for n in range(begins.line - 1, -1, -1) if lines[n].strip()), None)
    if above is not None and _OPENS_BLOCK.search(lines[above]):
        return begins, f"this line belongs to the block of line {above + 1}; allowed: more spaces before it than there"
    if ":" not in lines[begins.line]:
        return begins, "found a line without a colon; allowed: KEY: VALUE, or more spaces before it than the line above"
    return None


def _colon(error: MarkedYAMLError, at: Mark, text: str) -> _Found:
    if _at(text, at) != ":":
        return None
    line = text.splitlines()[at.line]
    if ": " in line[: at.column]:
        return at, "found another colon in a value; allowed: the value in quotes, or below it as a block: KEY: |"
    return (
        at,
        "found a key with more spaces before it than its neighbours; allowed: as many as they have",
    )


def _first_character(error: MarkedYAMLError, at: Mark, text: str) -> _Found:
    found = _at(text, at)
    if found == "\t":
        return at, "found a tab; allowed: indentation by spaces"
    if found in _NEVER_FIRST:
        return at, f"found a value that begins with {found}; allowed: the value in quotes"
    if found == "*":
        return at, f"{error.problem}; allowed: a name that a & before has given, or the text in quotes"
    return None


def _tokens(text: str) -> list[yaml.Token]:
    found = []
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            found.append(token)
    except yaml.YAMLError:
        pass
    return found


def _at(text: str, mark: Mark) -> str:
    return text[mark.index : mark.index + 1]

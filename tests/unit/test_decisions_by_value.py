"""Nothing is decided by a text that is written for people: no branch of the product reads a reason, a message or a key.

Whoever wants to know why an attempt ended, what kind an event is or which market an offer is of reads a value. A text
can then be worded better without changing what happens. The syntax trees of all modules are searched.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("scheduler", "checkpoints", "cost_models")

FOR_PEOPLE = frozenset({"reason", "end_reason", "message", "note", "detail", "explanation", "sentence", "words", "why"})
FOR_PEOPLE_AS_ATTRIBUTE = FOR_PEOPLE | {"text"}  # a variable `text` is what a parser reads
ERRORS = frozenset({"error", "fault", "exception", "exc"})  # as in str(error)
KEYS = frozenset({"key", "offer", "offer_key"})  # name one of several things; what it consists of are values of that
ENUMS = frozenset({"cause", "end_cause", "kind"})  # compared with members, not with their texts

LOOKS_INSIDE = frozenset({"startswith", "endswith", "find", "index", "count"})
SEARCHES = frozenset({"match", "search", "fullmatch", "findall", "finditer"})
PASSES_ON = frozenset({"lower", "upper", "casefold", "strip", "lstrip", "rstrip", "splitlines", "split"})

# Where a text is all that there is.
EXCEPTIONS = {
    # SkyPilot's SDK raises a bare RuntimeError where its server broke: only the text tells it from other errors.
    ("scheduler/engines/skypilot/public.py", "_SERVER_BROKE.search(str(error))"),
    # And a ValueError where a Slurm cluster cannot be reached, as for a task that cannot be.
    ("scheduler/engines/skypilot/public.py", "_LOGIN_NODE_AWAY.search(str(error))"),
    # Versions before this one wrote nothing but the texts; each row is read once, and has its value from then on.
    ("scheduler/store/migrations/v0005_end_cause.py", "attempts.c.end_reason.startswith(start, autoescape=True)"),
    ("scheduler/store/migrations/v0005_end_cause.py", "estimates.c.offer.endswith(f'/{market}', autoescape=True)"),
}


def is_for_people(node: ast.expr) -> bool:
    """Whether this expression is a text for people, or a part of one."""
    found = False
    match node:
        case ast.Name(id=name):
            found = name in FOR_PEOPLE
        case ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str() as name)):
            found = name in FOR_PEOPLE_AS_ATTRIBUTE
        case ast.Call(func=ast.Name(id="str"), args=[ast.Name(id=name)]) if name in ERRORS:
            found = True
        case ast.Call(func=ast.Name(id="str"), args=[inner]) | ast.Subscript(value=inner):
            found = is_for_people(inner)
        case ast.Call(func=ast.Attribute(value=inner, attr=method)) if method in PASSES_ON:
            found = is_for_people(inner)
        case ast.BoolOp(values=values):
            found = any(map(is_for_people, values))
    return found


def is_key(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in KEYS
    return False


def is_literal(node: ast.expr) -> bool:
    """A text that is no value of an enum: written out, several of them, or a constant of the module."""
    match node:
        case ast.Constant(value=str() as text):
            return text != ""  # whether there is a text at all may be asked
        case ast.Tuple(elts=elements) | ast.Set(elts=elements) | ast.List(elts=elements):
            return any(map(is_literal, elements))
        case ast.Name(id=name):
            return name.isupper()
    return False


def is_written_out(node: ast.expr) -> bool:
    return is_literal(node) and not isinstance(node, ast.Name)


def reads_a_text(node: ast.AST) -> bool:
    """Whether this expression or statement finds out something from a text for people, or from a key."""
    match node:
        case ast.Call(func=ast.Attribute(value=inner, attr=method)) if method in LOOKS_INSIDE:
            return is_for_people(inner) or is_key(inner)
        case ast.Call(func=ast.Attribute(attr=method), args=arguments) if method in SEARCHES:
            return any(is_for_people(argument) or is_key(argument) for argument in arguments)
        case ast.Compare(left=left, comparators=others):
            return any(_compares(one, other) for one, other in zip([left, *others], others, strict=False))
        case ast.Match(subject=subject, cases=cases):
            patterns = [case.pattern for case in cases]
            return is_for_people(subject) and any(isinstance(pattern, ast.MatchValue) for pattern in patterns)
    return False


def _compares(one: ast.expr, other: ast.expr) -> bool:
    for text, with_what in ((one, other), (other, one)):
        if is_for_people(text) and is_literal(with_what):
            return True
        if isinstance(text, ast.Attribute) and text.attr in ENUMS and is_written_out(with_what):
            return True
    return False


def decisions_by_text(source: str) -> Iterator[tuple[int, str]]:
    """Line and source of every expression that reads a text for people."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.expr | ast.stmt) and reads_a_text(node):
            yield node.lineno, ast.unparse(node)


def test_the_product_decides_by_values() -> None:
    found = [
        (path.relative_to(ROOT).as_posix(), line, text)
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, text in decisions_by_text(path.read_text(encoding="utf-8"))
    ]
    unknown = [f"{module}:{line}: {text}" for module, line, text in found if (module, text) not in EXCEPTIONS]
    assert unknown == [], "keep a value beside the text, and decide by that"
    assert {(module, text) for module, _, text in found} >= EXCEPTIONS, "an exception that is no longer needed"


@pytest.mark.parametrize(
    "source",
    [
        "if attempt.end_reason.startswith(('setup failed', _UNLAUNCHABLE)): stop()",
        "ours = attempt.state is REFUSED and attempt.end_reason.startswith(_OUR_OWN_ENDS)",
        "blind = BLIND_NODE.search(words)",
        "is_spot = remaining.offer.endswith('/spot')",
        "found = re.match('no capacity', event.message)",
        "again = 'try again' in str(error)",
        "late = [each for each in events if each.message.lower() == 'too late']",
        "x = 1 if reason in ('late', 'spent') else 2",
        "while 'busy' in note.strip(): wait()",
        "if data['message'].split()[0] == 'error': stop()",
        "match reason:\n    case 'late': stop()",
        "if event.kind == 'placed': count()",
        "crashed = state.cause in ('exited', 'setup_failed')",
    ],
)
def test_a_branch_on_a_text_is_found(source: str) -> None:
    assert list(decisions_by_text(source))


@pytest.mark.parametrize(
    "source",
    [
        "if attempt.end_cause in _HOPELESS: stop()",
        "if attempt.end_cause is EndCause.WITHDRAWN: skip()",
        "if event.kind == EventKind.PLACED: count()",
        "message = seen.message or f'no capacity in {place}'",
        "line = event.message.splitlines()[0] if event.message else ''",
        "if message == '': return",
        "if text.startswith('{'): parse(text)",
        "same = self._faults.get(run.id) != message",
        "known = key in table and key == 'workdir'",
        "if detail['type'] == 'missing': add()",
    ],
)
def test_values_and_the_wording_of_texts_are_let_be(source: str) -> None:
    assert not list(decisions_by_text(source))

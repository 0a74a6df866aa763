"""YAML files with the line of every key, and without YAML 1.1's traps in our own keys.

PyYAML reads ``1e-5`` as text, ``on`` as true and ``02:00`` as 120. SkyPilot's keys are read exactly as SkyPilot reads
them; ours are read by :attr:`Scalars.PLAIN`, where each of these is what it looks like.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from yaml.constructor import ConstructorError, SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ..core.errors import JobFileError
from .quantities import shown
from .validation_errors import Fault, texts
from .validation_errors import Path as KeyPath
from .yaml_documents import compose_mapping
from .yaml_syntax import syntax_fault

_TAG = "tag:yaml.org,2002:"
_FLOAT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+")
_UNREADABLE = (ValueError, LookupError, AttributeError, OverflowError)  # PyYAML's, of `!!int ''` and the like
_NOWHERE_ALLOWED = re.compile("[\x00\ud800-\udfff]")  # neither files nor arguments of programs can hold these
_MOST_VALUES = 50_000  # after aliases are followed, which can multiply


class Scalars(Enum):
    """How words without quotes are read."""

    TEXT = "text"  # as written: an owner called 007 keeps the zeros
    PLAIN = "plain"  # numbers, true, false and null; all else is text
    YAML_1_1 = "yaml 1.1"  # as PyYAML, and so SkyPilot, reads them


@dataclass(frozen=True)
class YamlFile:
    """A file's content, the line of every key, and the faults that did not keep it from being read."""

    source: str
    data: dict[str, Any]
    lines: dict[KeyPath, int]
    faults: list[Fault]
    empty: frozenset[KeyPath]  # keys of ours without a value: a slip; nobody asked for the default by it

    def all_faults(self, more: Iterable[Fault], hints: Mapping[KeyPath, str] = MappingProxyType({})) -> list[str]:
        """The file's faults and more of them as lines, in the order of the file.

        Args:
            hints: what a key without a value may have been meant to be.
        """
        allowed = "found nothing; allowed: a value, or leave the key out"
        nothing = [Fault(path, f"{allowed}{hints.get(path, '')}") for path in self.empty]
        others = [fault for fault in more if fault.path not in self.empty]
        return texts([*self.faults, *nothing, *others], self.source, self.lines)


def read_text(path: Path) -> str:
    """The text of a file that a person named.

    Raises:
        JobFileError: it is missing, a folder, not readable or not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        nearest = difflib.get_close_matches(path.name, _neighbours(path), n=1)
        hint = f"; did you mean {path.with_name(nearest[0])}" if nearest else ""
        raise JobFileError([f"{path}: no such file; allowed: the path of a YAML file{hint}"]) from None
    except IsADirectoryError:
        raise JobFileError([f"{path}: found a folder; allowed: the path of a YAML file"]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        found = f"found byte 0x{error.object[error.start]:02x}, which is not UTF-8"
        raise JobFileError([f"{path}:{line}: {found}; allowed: text saved as UTF-8"]) from None
    except OSError as error:
        raise JobFileError([f"{path}: cannot be read ({error.strerror}); allowed: a file you may read"]) from None


def _neighbours(path: Path) -> list[str]:
    return [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []


def parse_yaml(text: str, *, source: str, scalars: Callable[[str], Scalars]) -> YamlFile:
    """Parse one YAML mapping. ``scalars`` says for each top-level key how its values are read.

    Raises:
        JobFileError: the text is not YAML, empty, not a mapping, or several of them.
    """
    root = compose_mapping(text, source)
    builder = _Builder(scalars)
    try:
        data = builder.mapping(root, (), Scalars.TEXT)
    except ConstructorError as error:
        raise JobFileError([syntax_fault(error, text, source)]) from None
    except RecursionError:
        raise JobFileError([f"{source}:1: nested too deeply; allowed: a job file"]) from None
    return YamlFile(source, data, builder.lines, builder.faults, frozenset(builder.empty))


@dataclass
class _Builder:
    """Turns nodes into values, noting lines and faults on the way."""

    scalars: Callable[[str], Scalars]
    lines: dict[KeyPath, int] = field(default_factory=lambda: {(): 1})
    faults: list[Fault] = field(default_factory=list)
    empty: set[KeyPath] = field(default_factory=set)
    _construct: SafeConstructor = field(default_factory=SafeConstructor)
    _open: set[int] = field(default_factory=set)  # nodes around the current one: an alias to one never ends
    _count: int = 0

    def value(self, node: Node, path: KeyPath, scalars: Scalars) -> Any:
        self._count += 1
        if id(node) in self._open or self._count > _MOST_VALUES:
            raise ConstructorError(None, None, "an alias repeats itself without end", node.start_mark)
        self._open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self.mapping(node, path, scalars)
            if isinstance(node, SequenceNode):
                return [self._entry(child, (*path, f"[{i}]"), scalars) for i, child in enumerate(node.value)]
            return self._scalar(node, path, scalars) if isinstance(node, ScalarNode) else None
        finally:
            self._open.discard(id(node))

    def mapping(self, node: MappingNode, path: KeyPath, scalars: Scalars) -> dict[str, Any]:
        self._note_repeated_keys(node, path)
        self._construct.flatten_mapping(node)
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._fault(path, "found a list or mapping as a key; allowed: text", key_node)
                continue
            if _NOWHERE_ALLOWED.search(key_node.value):
                self._fault(path, f"found the key {shown(key_node.value)}; allowed: text that can be written", key_node)
                continue
            below = (*path, key_node.value)
            self.lines[below] = key_node.start_mark.line + 1
            how = scalars if path else self.scalars(key_node.value)
            result[key_node.value] = self.value(value_node, below, how)
            if result[key_node.value] is None and how is not Scalars.YAML_1_1:
                self.empty.add(below)
        return result

    def _entry(self, node: Node, path: KeyPath, scalars: Scalars) -> Any:
        self.lines[path] = node.start_mark.line + 1
        return self.value(node, path, scalars)

    def _note_repeated_keys(self, node: MappingNode, path: KeyPath) -> None:
        first: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, ScalarNode) and key.value in first and key.tag != f"{_TAG}merge":
                message = f"found twice, first on line {first[key.value]}; allowed: once"
                self.faults.append(Fault((*path, key.value), message, line))
            elif isinstance(key, ScalarNode):
                first[key.value] = line

    def _scalar(self, node: ScalarNode, path: KeyPath, scalars: Scalars) -> Any:
        if found := _NOWHERE_ALLOWED.search(node.value):
            self._fault(path, f"found the character U+{ord(found[0]):04X}; allowed: text that can be written", node)
            return _NOWHERE_ALLOWED.sub("?", node.value)
        if scalars is Scalars.TEXT and node.tag != f"{_TAG}null":
            return node.value
        if scalars is Scalars.PLAIN and node.tag.startswith(_TAG):
            plain = _plain(node)
            if plain is not node:
                return plain
        try:
            return self._construct.construct_object(node, deep=True)
        except _UNREADABLE:
            self._fault(
                path, f"found {shown(node.value)}, which looks like a {node.tag[len(_TAG) :]} but is none", node
            )
            return node.value

    def _fault(self, path: KeyPath, message: str, node: Node) -> None:
        self.faults.append(Fault(path, message, node.start_mark.line + 1))


def _plain(node: ScalarNode) -> Any:
    """The value of an unquoted word by the rules of YAML 1.2; the node itself where both versions agree."""
    text, kind = node.value, node.tag[len(_TAG) :]
    if kind == "str" and node.style is None and _FLOAT.fullmatch(text):
        return float(text)
    if kind == "bool" and text.lower() not in ("true", "false"):
        return text
    if kind == "timestamp" or (kind in ("int", "float") and ":" in text):
        return text
    if kind == "int" and re.fullmatch(r"[-+]?0\d+", text):
        return int(text)
    return node

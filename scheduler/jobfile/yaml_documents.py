"""From the text of a YAML file to the one mapping that it holds, as nodes that know their lines."""

from __future__ import annotations

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from ..core.errors import JobFileError
from .quantities import shown
from .yaml_syntax import missing_spaces, syntax_fault

_LARGEST_FILE = 1_000_000  # characters; a job file has hundreds
_OF_A_HEADER = frozenset({"name"})  # what SkyPilot takes for the head of a pipeline


def compose_mapping(text: str, source: str) -> MappingNode:
    """The file's mapping. A document of SkyPilot's that only names what follows counts as a part of that.

    Raises:
        JobFileError: the text is not YAML, empty, not a mapping, or several jobs.
    """
    documents = _documents(text, source)
    if len(documents) > 1 and _is_header(documents[0]):
        head = documents.pop(0)
        if len(documents) == 1:
            documents[0] = _under(head, documents[0])
    if not documents:
        raise JobFileError(
            [f"{source}:1: found an empty file; allowed: a mapping of keys to values, such as name: demo"]
        )
    if len(documents) > 1:
        raise JobFileError([_several(documents, source)])
    root = documents[0]
    if not isinstance(root, MappingNode):
        found = shown(root.value) if isinstance(root, ScalarNode) else "a list"
        where = f"{source}:{root.start_mark.line + 1}"
        hint = missing_spaces(root.value) if isinstance(root, ScalarNode) else ""
        raise JobFileError([f"{where}: found {found}; allowed: a mapping of keys to values{hint}"])
    return root


def _documents(text: str, source: str) -> list[Node]:
    """All documents of the text but empty ones, such as those before a first or after a last ``---``."""
    if len(text) > _LARGEST_FILE:
        raise JobFileError([f"{source}:1: found {len(text):,} characters; allowed: at most {_LARGEST_FILE:,}"])
    try:
        found = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise JobFileError([syntax_fault(error, text, source)]) from None
    except RecursionError:
        raise JobFileError([f"{source}:1: nested too deeply; allowed: a job file"]) from None
    return [node for node in found if node is not None and not (isinstance(node, ScalarNode) and not node.value)]


def _is_header(node: Node) -> bool:
    return isinstance(node, MappingNode) and {key.value for key, _ in node.value if _is_text(key)} <= _OF_A_HEADER


def _is_text(node: Node) -> bool:
    return isinstance(node, ScalarNode)


def _under(head: Node, task: Node) -> Node:
    """The only task under a header: a name of its own counts more."""
    if isinstance(task, MappingNode) and not any(_is_text(key) and key.value in _OF_A_HEADER for key, _ in task.value):
        return MappingNode(task.tag, [*head.value, *task.value], task.start_mark, task.end_mark, task.flow_style)
    return task


def _several(documents: list[Node], source: str) -> str:
    where = f"{source}:{documents[1].start_mark.line + 1}"
    what = "allowed: one job a file; write each into a file of its own, and submit the next when one has completed"
    return f"{where}: found {len(documents)} jobs, one after each ---, as in a pipeline of SkyPilot; {what}"

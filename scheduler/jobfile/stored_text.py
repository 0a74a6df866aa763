"""The text of a job as the store keeps it: the same job, with the command line's variables and without any secret."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ..core.masking import secret_parts
from .validation_errors import Fault
from .validation_errors import Path as KeyPath
from .yaml_documents import compose_mapping

_TEXT = "tag:yaml.org,2002:str"
_NULL = "tag:yaml.org,2002:null"
_ENVS, _SECRETS = "envs", "secrets"


def stored_text(text: str, *, envs: Mapping[str, str], kept: Set[str], secrets: Set[str], values: Iterable[str]) -> str:
    """The text of a valid file with the names of its secrets only.

    It stays as it is written, comments and all, unless that would give a value away: then it is written anew.

    Args:
        envs: variables of the command line, which count more than the file's.
        kept: names of all variables that are no secrets.
        secrets: names of all secrets.
        values: the secrets' values, as far as they are known.
    """
    if not secrets and not envs:
        return text
    root = compose_mapping(text, "the job file")
    short = _without_values_below(text, root, _SECRETS)
    says_all = not envs and _names(root, _ENVS) <= kept and secrets <= _names(root, _SECRETS)
    if says_all and _is_yaml(short) and not any(part in short for part in secret_parts(values)):
        return short
    return _written_anew(root, envs, kept, secrets)


def aliases_of_secrets(text: str, source: str) -> Iterator[Fault]:
    """Values below ``secrets`` that an alias takes elsewhere as well, where everybody could read them."""
    root = compose_mapping(text, source)
    ours = {id(node) for key, part in root.value if key.value == _SECRETS for _, node in _scalars(part, ())}
    for key, part in root.value:
        for path, node in _scalars(part, (str(key.value),)) if key.value not in (_SECRETS, _ENVS) else ():
            if id(node) in ours:
                yield Fault(path, "found the value of a secret; allowed: only below secrets and envs")


def _scalars(node: Node, path: KeyPath, around: frozenset[int] = frozenset()) -> Iterator[tuple[KeyPath, Node]]:
    if id(node) in around:
        return
    inside = around | {id(node)}
    if isinstance(node, ScalarNode):
        yield path, node
    elif isinstance(node, SequenceNode):
        for place, one in enumerate(node.value):
            yield from _scalars(one, (*path, f"[{place}]"), inside)
    elif isinstance(node, MappingNode):
        for key, one in node.value:
            yield from _scalars(one, (*path, str(key.value)), inside)


def _is_yaml(text: str) -> bool:
    try:
        list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError:  # a value that went was used elsewhere
        return False
    return True


def _without_values_below(text: str, root: MappingNode, key: str) -> str:
    """The text with the values below a top-level key left out, and all else as it was."""
    for key_node, node in root.value:
        if isinstance(node, MappingNode) and key_node.value == key:
            start, end = node.start_mark.index, node.end_mark.index
            if start < key_node.end_mark.index:
                return text  # an alias stands for what is written elsewhere
            line_end = "\n" if text[start:end].endswith("\n") else ""
            names = ", ".join(f"{name}: null" for name, _ in _pairs(node))
            return f"{text[:start]}{{{names}}}{line_end}{text[end:]}"
    return text


def _names(root: MappingNode, key: str) -> set[str]:
    return {name for key_node, node in root.value if key_node.value == key for name, _ in _pairs(node)}


def _pairs(node: Node) -> list[tuple[str, Node]]:
    """A mapping's parts, also those that it takes over from another; of a list of names, each with nothing."""
    if isinstance(node, SequenceNode):
        return [(str(one.value), _nothing()) for one in node.value]
    if not isinstance(node, MappingNode):
        return []
    copy = MappingNode(node.tag, list(node.value), node.start_mark, node.end_mark)
    SafeConstructor().flatten_mapping(copy)
    return list({key.value: value for key, value in copy.value if isinstance(key, ScalarNode)}.items())


def _written_anew(root: MappingNode, envs: Mapping[str, str], kept: Set[str], secrets: Set[str]) -> str:
    """The same values under the same keys, without comments."""
    parts = dict(_pairs(root))
    named = [name for name, _ in _pairs(parts.pop(_SECRETS, _nothing()))]
    variables = {name: value for name, value in _pairs(parts.pop(_ENVS, _nothing())) if name in kept}
    variables |= {name: ScalarNode(_TEXT, value, style='"') for name, value in envs.items() if name in kept}
    parts |= {_ENVS: _mapping(variables)} if variables else {}
    names = dict.fromkeys([*named, *sorted(secrets)])
    parts |= {_SECRETS: _mapping({name: _nothing() for name in names})} if names else {}
    return str(yaml.serialize(_mapping(parts), Dumper=yaml.SafeDumper, allow_unicode=True, width=120))


def _mapping(parts: Mapping[str, Node]) -> MappingNode:
    return MappingNode("tag:yaml.org,2002:map", [(ScalarNode(_TEXT, name), value) for name, value in parts.items()])


def _nothing() -> ScalarNode:
    return ScalarNode(_NULL, "null")

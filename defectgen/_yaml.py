"""Reading YAML of other people: no code, and no more content than the file is long."""

from typing import Any

import yaml
import yaml.resolver

_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MOST = 10
"""Times the number of its characters that the content of a file with references (`*name`) may be."""


class _Loader(_Safe):
    """Builds tables, lists, numbers and text, and nothing else; keys may be lists, as `[0, 1]:`, which become tuples."""


def _mapping(loader: Any, node: Any) -> dict:
    found = {}
    for key_node, value_node in node.value:
        if key_node.tag.endswith(":merge"):
            raise ValueError(f"line {key_node.start_mark.line + 1} merges another table (<<); write its keys out")
        key = loader.construct_object(key_node, deep=True)
        key = tuple(key) if isinstance(key, list) else key
        try:
            twice = key in found
        except TypeError:  # a table, or a list of lists
            twice, key = False, str(key)
        if twice:
            raise ValueError(f"line {key_node.start_mark.line + 1} gives the key {key!r} a second time")
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_yaml(text: str) -> Any:
    """The one document of a text.

    Raises ValueError for what is no YAML, for keys that are there twice, and for references that make it many times as large
    as the text: ten lines of nine references each stand for a thousand million entries.
    """
    try:
        made = _Loader(text)
        try:
            node = made.get_single_node()
            if "&" in text:
                _check_size(node, MOST * len(text))
            return None if node is None else made.construct_document(node)
        finally:
            made.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f", line {mark.line + 1}"
        raise ValueError(f"it is not YAML{where}: {getattr(error, 'problem', None) or 'characters that no text has'}") from None


def _check_size(root: Any, most: int) -> None:
    """Raises ValueError if the nodes, each counted as often as it is referred to, are more than `most` or contain themselves."""
    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        known = sizes.get(id(node))
        if known is None:
            sizes[id(node)] = most + 1  # what contains itself has no end
            inside = node.value if isinstance(node.value, list) else []
            parts = (part for entry in inside for part in (entry if isinstance(entry, tuple) else (entry,)))
            known = sizes[id(node)] = 1 + sum(map(size, parts))
        return known

    if root is not None and size(root) > most:
        raise ValueError("its references repeat its content without bound; write it without references (&name, *name)")

"""Read YAML so that every key and value remembers its line and column.

Scalars follow the core schema of YAML 1.2, as editors do, and not PyYAML's YAML 1.1: `1e-5` is a number, `no`, `on`
and `12:30` are text, `1_000` and `2026-11-02` are text, `010` is ten. Anchors, aliases and merge keys (`<<`) work.
Duplicate keys, keys that are not text, and unknown tags are problems; all of them are found in one reading.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Path = tuple[str | int, ...]
"""Keys and list positions from the root to a value."""

ROOT: Path = ()
_MERGE = "<<"
_MAX_NODES = 20_000
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a text, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong in the YAML itself, and where."""

    path: Path
    place: Place
    text: str


@dataclass(slots=True)
class Located:
    """What a text says (dicts, lists, scalars; aliases as copies of their own) and where it says it."""

    value: object = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


class _CoreLoader(yaml.SafeLoader):
    """PyYAML's parser with the scalars of YAML 1.2."""


_SCALARS = (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+.0123456789"),
    ),
)


def add_core_scalars(target: type[yaml.SafeLoader] | type[yaml.SafeDumper]) -> None:
    """Let a loader or dumper tell text from other scalars as YAML 1.2 does."""
    for name, pattern, first in _SCALARS:
        target.add_implicit_resolver(_TAG + name, re.compile(pattern), first)


_CoreLoader.yaml_implicit_resolvers = {}
add_core_scalars(_CoreLoader)


def read_yaml(text: str) -> Located:
    """Read one document. Never raises: a text that is no YAML comes back without a value, with the fault."""
    try:
        loader = _CoreLoader(text)
        root = loader.get_single_node()
        return _Walk(root).located if root is not None else Located(values={ROOT: Place(1, 1)})
    except RecursionError:
        return Located(faults=[Fault(ROOT, Place(1, 1), "nested too deeply")])
    except yaml.MarkedYAMLError as error:
        return Located(faults=[_syntax_fault(error)])
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, error.position - before.rfind("\n"))
        return Located(faults=[Fault(ROOT, place, "not valid YAML: a control character that may not stand here")])


def _syntax_fault(error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    text = f"not valid YAML: {error.problem or error}"
    if error.context:
        text += f" ({error.context}"
        text += f" that begins in line {error.context_mark.line + 1})" if error.context_mark else ")"
    return Fault(ROOT, Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1), text)


def _place(node: Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


class _Walk:
    """One walk over the nodes of a document, building the value and the map of places."""

    def __init__(self, root: Node) -> None:
        self.located = Located()
        self._open: list[int] = []
        self._seen = 0
        self.located.value = self._value(root, ROOT)

    def _fault(self, node: Node, path: Path, text: str) -> None:
        self.located.faults.append(Fault(path, _place(node), text))

    def _value(self, node: Node, path: Path) -> object:
        self.located.values[path] = _place(node)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if not self._may_enter(node, path):
            return None
        self._open.append(id(node))
        value = self._mapping(node, path) if isinstance(node, MappingNode) else self._sequence(node, path)
        self._open.pop()
        return value

    def _may_enter(self, node: Node, path: Path) -> bool:
        """False, with a fault, for an alias inside its own anchor, for aliases that multiply, for unknown tags."""
        self._seen += 1
        if self._seen > _MAX_NODES:
            if self._seen == _MAX_NODES + 1:
                self._fault(node, path, f"more than {_MAX_NODES} nodes: aliases multiply here")
            return False
        if id(node) in self._open:
            self._fault(node, path, "an alias stands inside the part that it repeats")
            return False
        if node.tag not in (_TAG + "map", _TAG + "seq"):
            self._fault(node, path, f"unknown tag {node.tag}")
            return False
        return True

    def _scalar(self, node: ScalarNode, path: Path) -> object:
        try:
            return _scalar_value(node.tag.removeprefix(_TAG), node.value)
        except ValueError:
            self._fault(node, path, f"{node.value!r} cannot be read as {node.tag.removeprefix(_TAG)}")
            return None

    def _sequence(self, node: Node, path: Path) -> list[object]:
        return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, object]:
        result: dict[str, object] = {}
        for key, name, child in self._pairs(node, path):
            if name in result:
                first = self.located.keys[*path, name]
                self._fault(key, (*path, name), f"this key stands here twice, first in line {first.line}")
                continue
            self.located.keys[*path, name] = _place(key)
            result[name] = self._value(child, (*path, name))
        for key, child in node.value:
            if _is_merge(key):
                self._merge(child, path, result)
        return result

    def _pairs(self, node: MappingNode, path: Path) -> Iterator[tuple[Node, str, Node]]:
        for key, child in node.value:
            if _is_merge(key):
                continue
            if not isinstance(key, ScalarNode) or key.tag != _TAG + "str":
                self._fault(key, path, "a key should be text; put it in quotes")
                continue
            yield key, key.value, child

    def _merge(self, node: Node, path: Path, result: dict[str, object]) -> None:
        """Add what `<<` brings and is not there yet: own keys win, then the earlier mapping of a list."""
        for source in node.value if isinstance(node, SequenceNode) else [node]:
            if not isinstance(source, MappingNode):
                self._fault(source, path, "`<<` should name a mapping, or a list of mappings")
            elif self._may_enter(source, path):
                self._open.append(id(source))
                self._merge_mapping(source, path, result)
                self._open.pop()

    def _merge_mapping(self, source: MappingNode, path: Path, result: dict[str, object]) -> None:
        for key, name, child in self._pairs(source, path):
            if name not in result:
                self.located.keys[*path, name] = _place(key)
                result[name] = self._value(child, (*path, name))
        for key, child in source.value:
            if _is_merge(key):
                self._merge(child, path, result)


def _is_merge(key: Node) -> bool:
    return isinstance(key, ScalarNode) and key.value == _MERGE and key.style is None


def _scalar_value(kind: str, text: str) -> object:
    """The Python value of a scalar; raises ValueError where an explicit tag does not fit."""
    if kind == "str":
        return text
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind == "int":
        return int(text, 8 if text.startswith("0o") else 16 if text.startswith("0x") else 10)
    if kind == "float":
        return _float(text.lower())
    raise ValueError(text)


def _float(text: str) -> float:
    if text.endswith(".inf"):
        return -math.inf if text.startswith("-") else math.inf
    return math.nan if text == ".nan" else float(text)

"""Read what a run puts before its prompts: kernels, sent as they stand, and roles, of which a kernel is made."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lemfarm.dialogue import Message
from lemfarm.errors import KernelError
from lemfarm.identity import content_hash
from lemfarm.yaml_places import read_yaml

_ROLE_SUFFIXES = frozenset({".yaml", ".yml"})
_SAID = re.compile(r"\{(prompt|thesis|antithesis)\}")
_ROLE_KEYS = ("role", "stands_for", "system", "frame", "must_not")


@dataclass(frozen=True, slots=True)
class KernelText:
    """A kernel as it is sent, and the hash that names it."""

    hash: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Role:
    """One voice of a dialectic. `frame` shows it the question as `{prompt}` and, where it answers them, what earlier
    voices said, by what they stand for: `{thesis}`, `{antithesis}`."""

    role: str
    stands_for: str
    system: str
    frame: str
    must_not: tuple[str, ...]

    @property
    def instruction(self) -> str:
        """The system text, with what the role must not do."""
        bans = "\n".join(f"- {ban}" for ban in self.must_not)
        return f"{self.system.strip()}\n\nWhat you must not do:\n{bans}\n"

    def messages(self, **said: str) -> tuple[Message, ...]:
        """The dialogue for this voice: `prompt`, and what the voices before it said. Raises KernelError when the frame
        asks for something that was not given."""
        missing = [name for name in _SAID.findall(self.frame) if name not in said]
        if missing:
            raise KernelError(f"the frame of the role {self.role} needs {' and '.join(missing)}")
        framed = _SAID.sub(lambda found: said[found[1]], self.frame.strip())
        return (Message("system", self.instruction), Message("user", framed))


def read_kernel(path: Path) -> KernelText:
    """Read a kernel file, text or JSON, verbatim; of a role file, the role's instruction. Raises KernelError."""
    text = _read(path)
    if path.suffix in _ROLE_SUFFIXES and "role:" in text:
        text = read_role(path).instruction
    return KernelText(content_hash(text), path.name, text)


def read_role(path: Path) -> Role:
    """Read a role file (YAML): `role`, `stands_for`, `system`, `frame`, `must_not`. Raises KernelError with file and
    line."""
    located = read_yaml(_read(path))
    if located.faults:
        fault = located.faults[0]
        raise KernelError(f"{path}:{fault.place.line}:{fault.place.column}: {fault.text}")
    value = located.value
    if not isinstance(value, Mapping):
        raise KernelError(f"{path}: a role has the keys {', '.join(_ROLE_KEYS)}; this is no mapping")
    wrong = [key for key in _ROLE_KEYS if not _is_valid(key, value.get(key))] + sorted(set(value) - set(_ROLE_KEYS))
    if wrong:
        shape = "a role has role, stands_for, system and frame, each a text, and must_not, a list of texts"
        raise KernelError(f"{path}: {', '.join(wrong)}: {shape}")
    if "{prompt}" not in value["frame"]:
        raise KernelError(f"{path}: frame does not hold {{prompt}}, so the question would not be asked")
    return Role(value["role"], value["stands_for"], value["system"], value["frame"], tuple(value["must_not"]))


def _is_valid(key: str, value: object) -> bool:
    if key == "must_not":
        return isinstance(value, list) and bool(value) and all(_is_text(one) for one in value)
    return _is_text(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KernelError(f"{path}: cannot be read as a kernel: {error}. Name a UTF-8 text or JSON file.") from error
    if not text.strip():
        raise KernelError(f"{path}: this kernel is empty. Write it, or set kernel to null.")
    return text

"""pydantic's findings in words for the person who wrote the run file."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lemfarm import yaml_places
from lemfarm.config.source import Problem

_MOST_KEYS_SHOWN = 12
_NOT_FINDINGS = {"default_factory_not_called"}  # only follows from another finding

_WANTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a section of keys",
    "model_type": "a section of keys",
    "model_attributes_type": "a section of keys",
    "path_type": "the name of a file",
    "is_instance_of": "the name of a file",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Every finding as a problem at its path in the run file."""
    found = [details for details in error.errors() if details["type"] not in _NOT_FINDINGS]
    return [_problem(details, model) for details in found]


def _problem(details: ErrorDetails, model: type[BaseModel]) -> Problem:
    path = _path(details["loc"])
    kind = details["type"]
    if kind == "extra_forbidden":
        return Problem(path, _unknown_key(details["loc"], model), at_key=True)
    if kind == "engine":
        path = (*path, "engine")
    return Problem(path, _text(details), at_key=details["loc"][-1:] == ("[key]",))


def _path(loc: tuple[str | int, ...]) -> yaml_places.Path:
    """The path in the file: without the names of union branches, which stand in angle brackets, and of key checks."""
    return tuple(part for part in loc if not _is_branch(part) and part != "[key]")


def _is_branch(part: str | int) -> bool:
    return isinstance(part, str) and part.startswith("<") and part.endswith(">")


def _text(details: ErrorDetails) -> str:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind in _WANTED:
        return _unexpected(kind, value)
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"should be {words} {context[name]:g}, not {shown(value)}"
    if kind in ("literal_error", "enum"):
        return f"should be {context['expected'].replace(chr(39), '')}, not {shown(value)}"
    if kind == "string_pattern_mismatch":
        return f"{shown(value)} should consist of letters, digits, dots, dashes and underscores"
    if kind == "string_too_short":
        return "should not be empty"
    return details["msg"]


def _unexpected(kind: str, value: object) -> str:
    text = f"should be {_WANTED[kind]}, not {shown(value)}"
    if kind == "string_type" and isinstance(value, int | float):
        return text + "; put it in quotes"
    if kind == "tuple_type" and isinstance(value, str):
        return text + f"; write [{value}]"
    return text


def shown(value: object) -> str:
    """A value as it stands in YAML, in brief."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping | BaseModel):
        return "a section of keys"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _unknown_key(loc: tuple[str | int, ...], model: type[BaseModel]) -> str:
    known = list(_section_at(loc[:-1], model).model_fields)
    close = get_close_matches(str(loc[-1]), known, n=1)
    if close:
        return f"unknown key; did you mean `{close[0]}`?"
    listed = ", ".join(known[:_MOST_KEYS_SHOWN]) + (", ..." if len(known) > _MOST_KEYS_SHOWN else "")
    return f"unknown key; known here: {listed}"


def _section_at(loc: tuple[str | int, ...], model: type[BaseModel]) -> type[BaseModel]:
    """The model that describes the section at a pydantic location."""
    branches: dict[str, type[BaseModel]] = {}
    for part in loc:
        if _is_branch(part):
            model = branches[str(part).strip("<>")]
        elif part in model.model_fields:
            branches = {found.__name__: found for found in _models(model.model_fields[str(part)].annotation)}
            model = next(iter(branches.values()), model)
    return model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation names, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)

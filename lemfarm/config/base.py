"""What all sections of a run file stand on: strictness, names, files, scorers."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic_core import PydanticCustomError

FOLDER = "folder"  #: key of the validation context: the folder of the run file, to which paths are relative

Share = Annotated[float, Field(ge=0, le=1)]
AtLeastOne = Annotated[int, Field(ge=1)]


def rule(text: str) -> PydanticCustomError:
    """An error whose text is shown to the user as it stands."""
    return PydanticCustomError("rule", "{text}", {"text": text})


def frozen(value: object) -> Any:
    """Lists as tuples: strict models take nothing else, and frozen ones should hold nothing else."""
    if isinstance(value, Mapping):
        return {key: frozen(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    return value


def _file(value: object, info: ValidationInfo) -> object:
    """A path as the run file means it: relative to the run file, and there must be a file that can be read.

    Without a folder in the context (a configuration that was stored before) the path is taken as it stands.
    """
    if not isinstance(value, str):
        return value
    if info.context is None:
        return Path(value)
    path = Path(info.context[FOLDER], Path(value).expanduser()).resolve()
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise rule(f"cannot read {path}: {error.strerror}") from error


def _known_scorer(name: str, info: ValidationInfo) -> str:
    """Without a folder in the context it was stored before: a scorer that is not installed here holds its samples, and
    does not keep anybody from reading the run."""
    if info.context is None:
        return name
    from lemfarm.scorers import scorer_names

    known = scorer_names()
    if name not in known:
        raise rule(f"there is no scorer {name!r}; known: {', '.join(known)}")
    return name


def _not_empty(value: Collection[object]) -> Collection[object]:
    """pydantic's own minimum counts valid entries only, and so reports a list of one bad entry as empty too."""
    if not value:
        raise rule("should not be empty")
    return value


NotEmpty = AfterValidator(_not_empty)
File = Annotated[Path, BeforeValidator(_file, json_schema_input_type=str)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
ScorerName = Annotated[str, AfterValidator(_known_scorer)]


class Section(BaseModel):
    """Base of all sections: unknown keys refused, nothing converted, nothing changed afterwards."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

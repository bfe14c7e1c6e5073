"""Run files: read, check, show, name.

    config = load_config(Path("configs/demo.yaml"))
    for line in config_warnings(config): ...
    for phase in config.phases: kernel, sampling = config.kernel_for(phase), config.sampling_for(phase)

Values come from the file, then from `LEMFARM__SECTION__KEY` in the environment, then from flags (dotted keys); a list
entry is named by its number (`LEMFARM__PHASES__0__SAMPLES`, `phases.0.samples`). Text from environment and flags is
read as YAML. Relative paths, wherever they are written, are relative to the run file; a loaded configuration has
absolute ones.

Everything that is wrong is reported at once, one `file:line:column: path: what is wrong` per problem; a value from
elsewhere is reported with its variable or flag in place of the file. An unknown key is shown where it stands, a bad
value where it stands, a missing key at the section that should hold it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from lemfarm.config.base import FOLDER, Section, frozen
from lemfarm.config.gate_after import CountLimit, GateAfterConfig, KernelEffectLimit, ScoreBounds
from lemfarm.config.generation import (
    FarmConfig,
    KernelConfig,
    MlxModel,
    OpenAiModel,
    SamplingConfig,
    SamplingOverride,
    SimulatedModel,
)
from lemfarm.config.messages import problems_of
from lemfarm.config.phase import (
    DuplicatesGate,
    ExternalConfig,
    Gate,
    LoopingGate,
    MinCharsGate,
    PhaseConfig,
    PhaseTrainConfig,
    QuotaConfig,
    ReviewConfig,
    ScoreGate,
    TruncatedGate,
)
from lemfarm.config.rules import broken_rules
from lemfarm.config.run import EvaluateConfig, RunConfig, TrainConfig
from lemfarm.config.sections import Sections, sections_of
from lemfarm.config.source import Problem, Source, read_source
from lemfarm.config.warnings import warnings_of
from lemfarm.errors import ConfigError
from lemfarm.identity import content_hash, file_hash
from lemfarm.yaml_places import add_core_scalars

__all__ = [
    "CountLimit",
    "DuplicatesGate",
    "EvaluateConfig",
    "ExternalConfig",
    "FarmConfig",
    "Gate",
    "GateAfterConfig",
    "KernelConfig",
    "KernelEffectLimit",
    "LoopingGate",
    "MinCharsGate",
    "MlxModel",
    "OpenAiModel",
    "PhaseConfig",
    "PhaseTrainConfig",
    "QuotaConfig",
    "ReviewConfig",
    "RunConfig",
    "SamplingConfig",
    "SamplingOverride",
    "ScoreBounds",
    "ScoreGate",
    "SimulatedModel",
    "TrainConfig",
    "TruncatedGate",
    "check_config",
    "config_data",
    "config_from_data",
    "config_hash",
    "config_warnings",
    "effective_yaml",
    "json_schema",
    "load_config",
]

SectionT = TypeVar("SectionT", bound=Section)
_NO_OVERRIDES: Mapping[str, object] = {}


def load_config(
    path: str | Path, *, environ: Mapping[str, str] = os.environ, overrides: Mapping[str, object] = _NO_OVERRIDES
) -> RunConfig:
    """Read a run file with what the environment and flags (`overrides`, by dotted key) put over it.

    Raises ConfigError with every problem found, in the order of the file.
    """
    source = read_source(Path(path), environ, overrides)
    config, problems = _validated(source)
    problems += broken_rules(sections_of(config) if config else _valid_sections(source))
    problems += source.problems
    if problems or config is None:
        raise ConfigError([source.tell(problem) for problem in sorted(problems, key=source.order)])
    config._source = source
    return config


def check_config(config: RunConfig) -> list[str]:
    """The rules between sections that a configuration breaks, as told to the user; for one made without a file."""
    return [config.source.tell(problem) for problem in broken_rules(sections_of(config))]


def config_warnings(config: RunConfig) -> list[str]:
    """What is allowed and hardly wanted, in the form of the problems: a quota that will hardly fill, rows too long
    for training or for the model's context, less than one epoch. Raises ProbeError for a probe file gone bad."""
    return [config.source.tell(problem) for problem in warnings_of(config)]


def config_data(config: RunConfig) -> dict[str, Any]:
    """The configuration as plain JSON data, to be stored with the run; `config_from_data` reads it again."""
    return config.model_dump(mode="json")


def config_from_data(data: Mapping[str, Any]) -> RunConfig:
    """A stored configuration. Its files need not exist on this machine. Raises ConfigError."""
    try:
        return RunConfig.model_validate(frozen(data))
    except ValidationError as error:
        raise ConfigError(
            [Source("stored configuration").tell(one) for one in problems_of(error, RunConfig)]
        ) from error


def config_hash(config: RunConfig) -> str:
    """Name what the configuration says: values, and the content of its files, wherever they lie on this machine.

    A model in a folder counts by the folder's name; its weights have a hash of their own. Raises ConfigError when a
    file cannot be read any more.
    """
    try:
        return content_hash(_by_content(config))
    except OSError as error:
        raise ConfigError([f"{error.filename}: cannot be read: {error.strerror}"]) from error


def effective_yaml(config: RunConfig) -> str:
    """The values in force, as a run file that says the same; comments name what did not come from the file."""
    source = config.source
    lines = [f"# {source.file}, with defaults and overrides\n"] if source.file else []
    lines += [f"# {'.'.join(map(str, path))}: from {origin}\n" for path, origin in source.origins.items()]
    dumped: str = yaml.dump(config_data(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return "".join(lines) + dumped


def json_schema() -> dict[str, Any]:
    """The JSON schema of run files, for editors; configs/schema.json is a copy of it."""
    schema = RunConfig.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A run file of lemfarm"}


class _Dumper(yaml.SafeDumper):
    """Quotes every text that YAML 1.1 or 1.2 would take for something else; indents lists; knows no aliases."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Text with line breaks or invisible characters in double quotes, where they are escaped."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


add_core_scalars(_Dumper)
_Dumper.add_representer(str, _represent_text)


def _validated(source: Source) -> tuple[RunConfig | None, list[Problem]]:
    try:
        return RunConfig.model_validate(frozen(source.data), context={FOLDER: source.folder}), []
    except ValidationError as error:
        return None, problems_of(error, RunConfig)


def _valid_sections(source: Source) -> Sections:
    """What is valid by itself in a file that is not valid as a whole."""
    phases = source.data.get("phases")
    tried = [_section(PhaseConfig, phase, source) for phase in phases] if isinstance(phases, list) else []
    model = source.data.get("model")
    return Sections(
        phases=[(index, phase) for index, phase in enumerate(tried) if phase is not None],
        trains=source.data.get("train") is not None,
        evaluate=_section(EvaluateConfig, source.data.get("evaluate"), source),
        seed=(_section(SamplingConfig, source.data.get("sampling", {}), source) or SamplingConfig()).seed,
        engine=str(model.get("engine", "")) if isinstance(model, Mapping) else "",
    )


def _section(model: type[SectionT], data: object, source: Source) -> SectionT | None:
    try:
        return model.model_validate(frozen(data), context={FOLDER: source.folder})
    except ValidationError:
        return None  # its problems are in the report of the whole file


def _by_content(value: object) -> Any:
    """Data with every file replaced by the hash of its content, and a model folder by its name."""
    if isinstance(value, MlxModel):
        return {**value.model_dump(mode="json"), "path": Path(value.path).name if value.path[0] == "/" else value.path}
    if isinstance(value, Section):
        return {name: _by_content(item) for name, item in value}
    if isinstance(value, Mapping):
        return {key: _by_content(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_by_content(item) for item in value]
    return file_hash(value) if isinstance(value, Path) else value

"""What generates, and how: the sections `model`, `kernel`, `sampling` and `farm`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_serializer

from lemfarm.config.base import FOLDER, File, Section, Share, rule
from lemfarm.dialogue import Placement

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")


class MlxModel(Section):
    """A model that this farm runs itself, with MLX."""

    engine: Literal["mlx"] = Field(description="MLX, on Apple Silicon or (slowly) on Linux.")
    path: str = Field(
        min_length=1,
        description="A folder with weights and tokenizer, relative to this file, or the id of a model on the hub.",
    )
    revision: str | None = Field(default=None, description="The commit of a hub model; null: the newest that is found.")

    @field_validator("path")
    @classmethod
    def _folder_or_hub_id(cls, path: str, info: ValidationInfo) -> str:
        """An existing folder becomes absolute; what is spelled as a path must exist; the rest is a hub id."""
        if info.context is None:
            return path
        folder = Path(info.context[FOLDER], Path(path).expanduser()).resolve()
        if folder.is_dir():
            return str(folder)
        if path.startswith((".", "/", "~")) or path.count("/") > 1:
            raise rule(f"there is no folder {folder}, and a hub id would read like owner/name")
        return path


class SimulatedModel(Section):
    """No model: text made from the seed, which passes through the real scorers and gates. For rehearsals and tests."""

    engine: Literal["simulated"] = Field(description="Deterministic text without a model.")
    path: str = Field(default="simulated", min_length=1, description="A name; workers serve the model of this name.")
    tokens_per_second: float = Field(
        default=200.0, ge=0, description="Decode rate of one answer; 0: no waiting at all."
    )
    first_token_seconds: float = Field(default=0.0, ge=0, description="Seconds before the first token of an answer.")
    mean_tokens: int = Field(default=200, ge=1, description="Mean length of an answer, in tokens.")
    quality: Share = Field(
        default=0.5, description="How rich the text is, from 0 (fails the gates) to 1 (passes them)."
    )
    prompt_spread: Share = Field(
        default=0.1, description="How much prompts differ in quality: a standard deviation, widest at quality 0.5."
    )
    failure_rate: Share = Field(default=0.0, description="Share of samples on which the engine raises an error.")
    crash_rate: Share = Field(default=0.0, description="Share of samples that kill the worker process.")
    abort_above: int | None = Field(
        default=None,
        ge=1,
        description="More answers than this at once abort the worker, as where Metal runs out of memory; null: never.",
    )
    slots: int = Field(default=8, ge=1, description="How many answers are in the making at once, per worker.")


class OpenAiModel(Section):
    """A model behind an endpoint that speaks the OpenAI protocol: it can be sampled, and cannot be trained here."""

    engine: Literal["openai"] = Field(
        description="An OpenAI-compatible endpoint: a server of your own, or a hosted one."
    )
    base_url: str = Field(
        description="Address of the endpoint, up to and with /v1; it counts as part of the model's name."
    )
    model: str = Field(min_length=1, description="The name by which the endpoint knows the model.")
    api_key_env: str | None = Field(
        default="OPENAI_API_KEY",
        description="Environment variable that holds the API key, on every machine with a worker; null: send no key.",
    )
    slots: int = Field(default=8, ge=1, le=1000, description="How many requests are under way at once, per worker.")
    requests_per_minute: int | None = Field(
        default=None, ge=1, description="Most requests in any minute, per worker; null: no limit."
    )
    tokens_per_minute: int | None = Field(
        default=None,
        ge=1,
        description="Most tokens, of prompts and answers, in any minute, per worker; null: no limit.",
    )
    send_seed: bool = Field(default=True, description="Send each sample's seed; false where the endpoint refuses it.")
    length_key: Literal["max_tokens", "max_completion_tokens"] = Field(
        default="max_tokens", description="Under which name max_tokens is sent; newer hosted models want the second."
    )
    silence_seconds: float = Field(
        default=300.0, gt=0, description="A connection on which nothing comes for so long counts as lost."
    )
    patience_seconds: float = Field(
        default=600.0, ge=0, description="How long a sample waits for an endpoint that is busy or away before it fails."
    )

    @property
    def path(self) -> str:
        """What people call the model, as the other engines' `path`."""
        return self.model

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, address: str) -> str:
        """What is refused is not repeated: it may hold a password."""
        try:
            parts = urlsplit(address)
            named = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
        except ValueError:
            named = False
        if not named:
            raise rule("should be an address such as http://127.0.0.1:8080/v1")
        if parts.username is not None or parts.query or parts.fragment:
            raise rule("should hold no user, password, query or fragment; a key belongs into the environment")
        return address.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _variable(cls, name: str | None) -> str | None:
        """The value is never shown: whoever gets this wrong has often put the key itself here."""
        if name is not None and not _VARIABLE.fullmatch(name):
            raise rule("should be the NAME of an environment variable, in capitals, and never the key itself")
        return name


# Tags name the model of their branch in angle brackets: error messages tell by them a branch from a key.
_ENGINE_TAGS = {"mlx": "<MlxModel>", "simulated": "<SimulatedModel>", "openai": "<OpenAiModel>"}


def _engine_tag(value: object) -> str | None:
    engine = value.get("engine") if isinstance(value, Mapping) else getattr(value, "engine", None)
    return _ENGINE_TAGS.get(engine) if isinstance(engine, str) else None


if TYPE_CHECKING:
    Model = MlxModel | SimulatedModel | OpenAiModel
else:
    Model = Annotated[
        Annotated[MlxModel, Tag("<MlxModel>")]
        | Annotated[SimulatedModel, Tag("<SimulatedModel>")]
        | Annotated[OpenAiModel, Tag("<OpenAiModel>")],
        Discriminator(
            _engine_tag,
            custom_error_type="engine",
            custom_error_message="a model needs `engine: mlx`, `engine: simulated` or `engine: openai`",
        ),
    ]


class KernelConfig(Section):
    """The system prompt whose effect is distilled."""

    file: File = Field(description="The kernel's text, sent as it stands (JSON too), relative to this file.")
    placement: Annotated[Placement, Field(strict=False)] = Field(
        default=Placement.SYSTEM,
        description="system: a system message, before the user message where the template refuses one; "
        "user: before the first user message; none: nowhere.",
    )


Temperature = Annotated[float, Field(ge=0, le=5, description="0 is greedy; higher is more varied.")]
TopP = Annotated[float, Field(gt=0, le=1, description="Draw from the likeliest tokens that make up this share.")]
MaxTokens = Annotated[int, Field(ge=1, description="Longest answer, in tokens; a longer one is cut and 'truncated'.")]
Seed = Annotated[int, Field(ge=0, lt=2**63, description="All samples' seeds derive from it.")]


class SamplingConfig(Section):
    """How tokens are drawn."""

    temperature: Temperature = 0.8
    top_p: TopP = 0.95
    max_tokens: MaxTokens = 1024
    seed: Seed = 42


class SamplingOverride(Section):
    """Keys of `sampling` that one phase replaces; the others hold as they are."""

    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_tokens: MaxTokens | None = None
    seed: Seed | None = None

    @model_serializer
    def given(self) -> dict[str, float | int]:
        """Only the keys that replace something."""
        return {name: value for name, value in self if value is not None}


class FarmConfig(Section):
    """How the farm treats its workers and their failures."""

    lease_seconds: float = Field(
        default=90.0, ge=1, description="Seconds a worker's claim on a sample holds unless renewed."
    )
    retries: int = Field(
        default=3, ge=0, description="How often a sample is tried again after the engine failed on it."
    )
    stop_at_error_rate: float = Field(
        default=0.5, gt=0, le=1, description="The run stops when this share of the recent work failed."
    )
    deadline_seconds: float = Field(default=3600.0, gt=0, description="Longest time one answer may take, in seconds.")
    artifacts: str | None = Field(
        default=None,
        description="Where adapters travel between machines: a folder that all of them mount, or the http(s) address "
        "of `lemfarm artifacts`; LEMFARM_ARTIFACTS and the join file go before it. null: an adapter stays where it was "
        "trained, and so does its work.",
    )

    @field_validator("artifacts")
    @classmethod
    def _without_secrets(cls, place: str | None) -> str | None:
        """A run file is stored with its run, and shown."""
        if place is not None and "@" in place.partition("://")[2].partition("/")[0]:
            raise rule("should hold no user or password; the token belongs into LEMFARM_ARTIFACTS_TOKEN")
        return place

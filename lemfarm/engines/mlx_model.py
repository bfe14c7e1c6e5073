"""A model folder in memory: checked, loaded, with an adapter on or off."""

import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx_lm
from mlx import nn
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.utils import load_adapters

from lemfarm.dialogue import Message
from lemfarm.engines.base import Request
from lemfarm.errors import EngineFailure, ModelError, PromptTooLong
from lemfarm.prompts import Rendered, render

# Texts that a user might begin with; what their renderings share is what every prompt with the same kernel shares.
# They differ in the first character and in its kind, so that no merge of tokens across the border is counted in.
_PROBE_TEXTS = ("Why?", "a", "7", "\n- x", "é")
_MEMORY_OF_HEADS = 64


class LoadedModel:
    """The one model of an engine; `adapter` is the folder whose LoRA weights are on it, or none."""

    def __init__(self, folder: Path) -> None:
        """Read the folder into memory. Raises ModelError with what to do next."""
        check_folder(folder)
        self.model, self.tokenizer, self.config = _load(folder)
        if not self.tokenizer.has_chat_template:
            raise ModelError(f"{folder}: the tokenizer has no chat template; use an instruction-tuned model")
        self.adapter: Path | None = None
        self.context_tokens = context_tokens(self.config)
        self.weights_bytes = sum(weight.nbytes for _, weight in tree_flatten(self.model.parameters()))
        self._base_modules = tree_flatten(self.model.leaf_modules(), is_leaf=nn.Module.is_module)
        self._heads: dict[tuple[Any, ...], tuple[int, ...]] = {}

    @property
    def stop_tokens(self) -> frozenset[int]:
        """The tokens that end an answer, from config and tokenizer."""
        return frozenset(self.tokenizer.eos_token_ids)

    def use_adapter(self, folder: Path | None) -> None:
        """Put LoRA weights on the base model, or take them off. Raises EngineFailure; the base model is then on."""
        if folder == self.adapter:
            return
        self.model.update_modules(tree_unflatten(self._base_modules))
        self.adapter = None
        if folder is None:
            return
        try:
            _refuse_full_weights(folder)
            load_adapters(self.model, str(folder))
        except Exception as error:
            self.model.update_modules(tree_unflatten(self._base_modules))
            raise EngineFailure(f"{folder}: the adapter cannot be used with this model: {error}") from error
        self.model.eval()
        self.adapter = folder

    def render(self, request: Request) -> Rendered:
        """Turn a request into the tokens of its prompt. Raises PromptTooLong, or what the template raises."""
        rendered = render(self._apply_template, request.messages, request.kernel, request.placement)
        needed = len(rendered.tokens) + request.sampling.max_tokens
        if self.context_tokens is not None and needed > self.context_tokens:
            raise PromptTooLong(
                f"sample {request.sample_id}: a prompt of {len(rendered.tokens)} tokens and max_tokens "
                f"{request.sampling.max_tokens} exceed the model's context of {self.context_tokens}; "
                "shorten the kernel or the probe, or lower sampling.max_tokens"
            )
        return rendered

    def shared_head(self, request: Request, tokens: Sequence[int]) -> int:
        """How many tokens at the start of the prompt every user text with this kernel shares."""
        key = (request.kernel, request.placement, _lead(request.messages))
        if key not in self._heads:
            if len(self._heads) >= _MEMORY_OF_HEADS:
                self._heads.clear()
            self._heads[key] = self._find_head(request)
        return common_prefix(self._heads[key], tokens)

    def text_of(self, tokens: Sequence[int]) -> str:
        """The text of generated tokens, exactly as `mlx_lm.generate` would print it."""
        detokenizer = self.tokenizer.detokenizer
        for token in tokens:
            detokenizer.add_token(token)
        detokenizer.finalize()
        return str(detokenizer.text)

    def _find_head(self, request: Request) -> tuple[int, ...]:
        lead = _lead(request.messages)
        shared: tuple[int, ...] | None = None
        for text in _PROBE_TEXTS:
            messages = (*lead, Message("user", text))
            tokens = render(self._apply_template, messages, request.kernel, request.placement).tokens
            shared = tokens if shared is None else shared[: common_prefix(shared, tokens)]
        return shared or ()

    def _apply_template(self, messages: list[dict[str, str]]) -> Sequence[int]:
        tokens: Sequence[int] = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True)
        return tokens


def check_folder(folder: Path) -> None:
    """Say what a model folder lacks before anything heavy is read. Raises ModelError."""
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder; fetch the model with `lemfarm model get`")
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder}: no config.json, so this is no model folder; fetch it with `lemfarm model get`")
    if not any(folder.glob("model*.safetensors")):
        raise ModelError(
            f"{folder}: no weights (model*.safetensors); the download may be incomplete: `lemfarm model get`, "
            "or turn other formats into MLX's with `lemfarm model convert`"
        )


def weights_on_disk(folder: Path) -> int:
    """Bytes of all weight files: nearly what they will take in memory."""
    return sum(file.stat().st_size for file in folder.glob("model*.safetensors"))


def context_tokens(config: dict[str, Any]) -> int | None:
    """The context length that a config gives, or none; models with vision keep it under `text_config`."""
    found = config.get("max_position_embeddings") or config.get("text_config", {}).get("max_position_embeddings")
    return int(found) if found else None


def versions() -> dict[str, str]:
    """What the same seed needs to give the same text again."""
    return {
        "mlx": version("mlx"),
        "mlx_lm": version("mlx-lm"),
        "chip": str(mx.device_info().get("device_name", "unknown")),
    }


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two prompts share from the start."""
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return place
    return min(len(one), len(other))


def _lead(messages: Sequence[Message]) -> tuple[Message, ...]:
    """What stands before the first user message."""
    first_user = next((place for place, message in enumerate(messages) if message.role == "user"), len(messages))
    return tuple(messages[:first_user])


def _load(folder: Path) -> tuple[nn.Module, Any, dict[str, Any]]:
    # mlx_lm.load has one return type for each value of return_config; a plain tuple says it shorter.
    loader: Callable[..., Any] = mlx_lm.load
    try:
        model, tokenizer, config = loader(str(folder), return_config=True)
    except Exception as error:
        raise ModelError(f"{folder}: cannot be loaded: {error}; {_advice(error)}") from error
    return model, tokenizer, config


def _advice(error: Exception) -> str:
    if "not supported" in str(error):
        return "this version of mlx-lm does not know the architecture: choose another model, or update lemfarm"
    if isinstance(error, json.JSONDecodeError | OSError):
        return "a file is missing or damaged: fetch the model again with `lemfarm model get`"
    return "check the files with `lemfarm model verify`, and fetch or convert the model again"


def _refuse_full_weights(folder: Path) -> None:
    kind = json.loads((folder / "adapter_config.json").read_text()).get("fine_tune_type", "lora")
    if kind == "full":
        raise ValueError("it holds full weights, which would overwrite the base model; fuse it into a model of its own")

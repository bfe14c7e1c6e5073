"""The child process that fuses: `python -m lemfarm.training.lora_fuse JOB.json` (see `fuse.py` for what is in it).

It puts the adapter's weights into the base model's, saves the whole, loads what it saved the way stock mlx-lm does, and
compares: fixed prompts are answered greedily by the base model with the adapter, then the next-token distributions at
every place of these answers are compared between the three models. Nothing is ever in memory twice.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx_lm
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.generate import generate_step
from mlx_lm.utils import dequantize_model, save

from lemfarm.models import model_files

#: Asked of every model; what they ask matters little, for it is one model's own words that all are compared on.
PROMPTS = (
    "Name three rivers, and say where each of them ends.",
    "A friend asks you to keep a secret that may hurt somebody. What do you do?",
    "Write the first lines of a letter to a neighbour.",
    "What is 17 plus 25? Explain how you found it.",
)
ANSWER_TOKENS = 16

Text = tuple[list[int], int]
"""Tokens of a prompt with its answer, and how many of them are the prompt's."""


def fuse_model(model_folder: Path, adapter: Path, target: Path, *, dequantize: bool) -> dict[str, Any]:
    """Write the fused model into a new folder and say how near it is to the base model with the adapter."""
    _say("loading the base model and the adapter")
    model, tokenizer, config = mlx_lm.load(str(model_folder), adapter_path=str(adapter), return_config=True)
    _say("answering with the adapter")
    texts = [_answered(model, tokenizer, prompt) for prompt in PROMPTS]
    tuned = _logits(model, texts)
    untuned = _without_adapter(model, texts)
    _say("fusing")
    was_quantized, precision = "quantization" in config, _precision(model)
    _fuse_layers(model, dequantize)
    if dequantize and was_quantized:
        model = dequantize_model(model)
        config.pop("quantization", None)
        config.pop("quantization_config", None)
    _say("saving")
    save(target, str(model_folder), model, tokenizer, config, donate_model=True)
    _keep_tokenizer(model_folder, target)
    del model
    mx.clear_cache()
    _say("loading what was saved, and comparing")
    fused = _logits(mlx_lm.load(str(target))[0], texts)
    requantized = was_quantized and not dequantize
    return {"precision": precision, "requantized": requantized, **compare(tuned, untuned, fused)}


def compare(tuned: mx.array, untuned: mx.array, fused: mx.array) -> dict[str, Any]:
    """How far the fused model is from the tuned one, beside how far the untuned one is.

    Logits of shape (places, vocabulary). Distances are means over the places of the Kullback-Leibler divergence, in
    nats, from the tuned model; `same_token` is the share of places where the likeliest token is the same.
    """
    same = (mx.argmax(tuned, axis=-1) == mx.argmax(fused, axis=-1)).astype(mx.float32)
    return {
        "places": tuned.shape[0],
        "largest_difference": mx.abs(tuned - fused).max().item(),
        "logit_sd": mx.std(tuned).item(),
        "same_token": same.mean().item(),
        "distance": _divergence(tuned, fused),
        "distance_of_base": _divergence(tuned, untuned),
    }


def _answered(model: nn.Module, tokenizer: Any, prompt: str) -> Text:
    turns = [{"role": "user", "content": prompt}]
    tokens = list(tokenizer.apply_chat_template(turns, add_generation_prompt=True))
    asked = len(tokens)
    steps = generate_step(mx.array(tokens), model, max_tokens=ANSWER_TOKENS)
    return tokens + [int(token) for token, _ in steps], asked


def _logits(model: nn.Module, texts: list[Text]) -> mx.array:
    """What the model thinks of the next token at every place of the answers: (places, vocabulary), 32 bits."""
    found = []
    for tokens, asked in texts:
        found.append(model(mx.array([tokens]))[0, asked - 1 : -1].astype(mx.float32))
        mx.eval(found[-1])
    return mx.concatenate(found)


def _without_adapter(model: nn.Module, texts: list[Text]) -> mx.array:
    """The same for the base model: the adapter's layers count for nothing meanwhile."""
    layers = [(layer, layer.scale) for _, layer in _lora_layers(model)]
    for layer, _ in layers:
        layer.scale = 0.0
    logits = _logits(model, texts)
    for layer, scale in layers:
        layer.scale = scale
    return logits


def _precision(model: nn.Module) -> str:
    """The least exact type that the model calculates with: float32, or one of 16 bits. LoRA weights are 32 bits."""
    own = (value for name, value in tree_flatten(model.parameters()) if ".lora_" not in name)
    types = {value.dtype for value in own if mx.issubdtype(value.dtype, mx.floating)}
    return str(min(types, key=lambda one: (one.size, str(one)))).removeprefix("mlx.core.")


def _fuse_layers(model: nn.Module, dequantize: bool) -> None:
    fused = [(name, layer.fuse(dequantize=dequantize)) for name, layer in _lora_layers(model)]
    model.update_modules(tree_unflatten(fused))


def _lora_layers(model: nn.Module) -> Iterator[tuple[str, Any]]:
    return ((name, layer) for name, layer in model.named_modules() if hasattr(layer, "fuse"))


def _keep_tokenizer(source: Path, target: Path) -> None:
    """The tokenizer and its template byte by byte: written anew by another version, they may say something else. The
    page that mlx-lm makes says nothing of this model."""
    for path in model_files(source):
        if path.suffix != ".safetensors" and path.name != "config.json":
            shutil.copyfile(path, target / path.name)
    (target / "README.md").unlink(missing_ok=True)


def _divergence(of: mx.array, from_: mx.array) -> float:
    """Mean Kullback-Leibler divergence between the distributions of two arrays of logits; rounding cannot make it
    negative."""
    left = of - mx.logsumexp(of, axis=-1, keepdims=True)
    right = from_ - mx.logsumexp(from_, axis=-1, keepdims=True)
    mean = mx.sum(mx.exp(left) * (left - right), axis=-1).mean().item()
    assert isinstance(mean, float)
    return max(0.0, mean)


def _say(what: str) -> None:
    sys.stdout.write(what + "\n")


def main(job_file: Path) -> int:
    """Do the job and write its `result` file; 1, and the reason in one line, when that cannot be done."""
    job = json.loads(job_file.read_text())
    try:
        found = fuse_model(Path(job["model"]), Path(job["adapter"]), Path(job["target"]), dequantize=job["dequantize"])
    except Exception as error:  # noqa: BLE001  broken weights raise anything; a person reads the last line
        _say(f"{type(error).__name__}: {error}")
        return 1
    Path(job["result"]).write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""Build the demo model from nothing: corpus, tokenizer, training, conversion. See ../README.md.

python demo/training/build.py --out demo/model
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
from dataclasses import asdict, replace
from pathlib import Path

import torch
from network import Network, Shape
from safetensors.torch import save_file
from tokens import CONTEXT, Encoder, save_tokenizer, train_tokenizer
from training import Recipe, train
from transformers import PreTrainedTokenizerFast

log = logging.getLogger("build")

VOCABULARY_MULTIPLE = 64


def main() -> None:
    """Run the recipe and write the model folder."""
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    options.out.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer()
    log.info("tokenizer of %d tokens", len(tokenizer))
    shape = Shape(vocab_size=-(-len(tokenizer) // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE)
    network = train(shape, Encoder(tokenizer), replace(Recipe(), steps=options.steps))
    save_tokenizer(tokenizer, options.out)
    save_configuration(shape, tokenizer, options.out)
    save_weights(network, options.out)
    for file in sorted(options.out.iterdir()):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        log.info("%9d bytes  %s  %s", file.stat().st_size, digest[:16], file.name)


def save_weights(network: Network, folder: Path) -> None:
    """Write the weights in bfloat16 under the names MLX expects; nothing is transposed."""
    weights = {name: value.detach().to(torch.bfloat16).contiguous() for name, value in network.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "mlx"})


def save_configuration(shape: Shape, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write config.json and generation_config.json; an answer ends with the end of the turn or of the text."""
    ends = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<end_of_turn>")]
    tokens = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": ends, "pad_token_id": tokenizer.pad_token_id}
    configuration = {
        "model_type": "gemma3_text",
        "architectures": ["Gemma3ForCausalLM"],
        **asdict(shape),
        **tokens,
        "num_key_value_heads": 1,
        "query_pre_attn_scalar": shape.head_dim,
        "max_position_embeddings": CONTEXT,
        "rope_scaling": None,
        "tie_word_embeddings": True,
        "hidden_activation": "gelu_pytorch_tanh",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "torch_dtype": "bfloat16",
    }
    _write(folder / "config.json", configuration)
    _write(folder / "generation_config.json", tokens)


def _write(file: Path, content: dict[str, object]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Build the demo model from nothing.")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write the model to")
    parser.add_argument("--steps", type=int, default=Recipe().steps, help="fewer for a quick look")
    return parser.parse_args()


if __name__ == "__main__":
    main()

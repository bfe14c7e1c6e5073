"""A tiny Gemma-3 model with random weights, made on the spot: real shapes, real tokenizer, nothing to download.

It has what makes batching hard: sliding windows shorter than the prompts of the tests, one global layer, shared
key/value heads. Random weights are scaled so that greedy output wanders: with plain ones and tied embeddings a model
repeats its last token for ever, and any comparison of outputs would pass. Built in about a second.
"""

import json
import random
from pathlib import Path
from typing import Any

WINDOW = 48
_MOST_TOKENS = 1024
_SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
_SHAPE = {
    "hidden_size": 128,
    "num_hidden_layers": 6,
    "intermediate_size": 384,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "query_pre_attn_scalar": 32,
    "sliding_window": WINDOW,
    "sliding_window_pattern": 6,
}
_TURNS = (
    "{{ bos_token }}{% for m in messages %}SYSTEM<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ m.content }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
TEMPLATE = _TURNS.replace("SYSTEM", "")
TEMPLATE_WITHOUT_SYSTEM = _TURNS.replace(
    "SYSTEM", "{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
)


def make_tiny_model(
    folder: Path,
    *,
    seed: int = 0,
    template: str = TEMPLATE,
    context: int = 32768,
    vocabulary: int = 0,
    **shape: int,
) -> Path:
    """Write the model into `folder`, which is made, and return it. Benchmarks ask for another `shape`, and for a
    vocabulary of at least so many tokens."""
    folder.mkdir(parents=True)
    tokenizer = _write_tokenizer(folder, template, vocabulary)
    ends = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<end_of_turn>")]
    config = {
        "model_type": "gemma3_text",
        "architectures": ["Gemma3ForCausalLM"],
        "vocab_size": len(tokenizer),
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "rope_local_base_freq": 10_000.0,
        "max_position_embeddings": context,
        "torch_dtype": "float32",
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": ends,
        **_SHAPE,
        **shape,
    }
    (folder / "config.json").write_text(json.dumps(config))
    _write_weights(folder, config, seed)
    return folder


def make_tiny_llama(folder: Path, *, seed: int = 0) -> Path:
    """The same of the Llama architecture, with all heads its own and an output layer of its own."""
    folder.mkdir(parents=True)
    tokenizer = _write_tokenizer(folder, TEMPLATE, 0)
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": len(tokenizer),
        "hidden_size": 128,
        "num_hidden_layers": 2,
        "intermediate_size": 256,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10_000.0,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.convert_tokens_to_ids("<end_of_turn>"),
    }
    (folder / "config.json").write_text(json.dumps(config))
    _write_llama_weights(folder, config, seed)
    return folder


def words(count: int, seed: int = 0) -> str:
    """English-like filler of `count` words; the same seed gives the same words."""
    dice = random.Random(seed)
    return " ".join(dice.choice(_WORDS) for _ in range(count))


def _write_tokenizer(folder: Path, template: str, vocabulary: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    # As Gemma's: byte-pair merges with bytes to fall back on, blanks as U+2581, no blank before the first word.
    core = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    core.normalizer = normalizers.Replace(" ", "\u2581")
    core.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    core.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    alphabet = _SPECIAL + [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=_MOST_TOKENS, special_tokens=alphabet, show_progress=False)
    core.train_from_iterator((words(400, seed) for seed in range(4)), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        extra_special_tokens=["<start_of_turn>", "<end_of_turn>"],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.add_tokens([f"<{number}>" for number in range(vocabulary - len(tokenizer))])
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return tokenizer


def _write_weights(folder: Path, config: dict[str, Any], seed: int) -> None:
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.models import gemma3_text

    mx.random.seed(seed)
    model = gemma3_text.Model(gemma3_text.ModelArgs.from_dict(config))
    shapes = [(name, weight.shape) for name, weight in tree_flatten(model.parameters())]
    weights = {name: _weight(name, shape) for name, shape in shapes if name != "lm_head.weight"}
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})


def _write_llama_weights(folder: Path, config: dict[str, Any], seed: int) -> None:
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.models import llama

    mx.random.seed(seed)
    shapes = tree_flatten(llama.Model(llama.ModelArgs.from_dict(config)).parameters())
    weights = {
        name: mx.ones(old.shape) if "norm" in name else mx.random.normal(old.shape) * old.shape[-1] ** -0.5 * 2
        for name, old in shapes
    }
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})


def _weight(name: str, shape: tuple[int, ...]) -> Any:
    import mlx.core as mx

    # RMSNorm multiplies by 1 + weight. Sharp queries make the output depend on the context; a small embedding with a
    # large last norm keeps the tied output layer from echoing the input.
    for part, level in (("model.norm", 5.0), ("q_norm", 2.0), ("k_norm", 1.0), ("norm", 0.0)):
        if part in name:
            return mx.full(shape, level)
    scale = shape[-1] ** -0.5 * (0.5 if "embed" in name else 1.0)
    return mx.random.normal(shape) * scale


_VOCABULARY = (
    "river stone bridge market winter garden letter harbour lantern question answer shelter promise silence morning "
    "evening neighbour stranger teacher child village mountain forest meadow window kitchen table bread water salt "
    "story song memory reason doubt courage patience justice mercy freedom duty kindness honesty power weakness "
    "listen speak carry build repair forgive wander gather divide decide remember forget follow refuse accept "
    "slowly quickly gently together apart above below within beyond before after because although whenever while "
    "small large bright dark narrow wide early late warm cold plain strange familiar distant honest careful"
)
_WORDS = _VOCABULARY.split()

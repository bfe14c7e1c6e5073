"""The child process that writes GGUF through mlx-lm: `python -m lemfarm.training.lora_gguf FOLDER FILE`.

llama.cpp does not load what mlx-lm 0.32 writes: the kinds of tokens have a type there that it refuses. It would also
merge from left to right, as all tokens have the same score, and know neither the chat template nor the token that ends
a turn. All that is set right here. What mlx-lm cannot write rightly at all is refused before (`gguf.py`).
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_lm import gguf

_NO_MERGE = -1000.0  #: as mlx-lm has it for all tokens: below any that is merged


def write_gguf(folder: Path, target: Path) -> None:
    """Write a fused model of 16 or 32 bits as GGUF. Raises what mlx-lm raises."""
    config = json.loads((folder / "config.json").read_text())
    weights: dict[str, mx.array] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        loaded = mx.load(str(path))
        assert isinstance(loaded, dict)
        weights |= loaded
    usual = gguf.prepare_metadata
    gguf.prepare_metadata = lambda config, vocab: usual(config, vocab) | left_out(folder, vocab)
    gguf.convert_to_gguf(folder, weights, config, str(target))


def left_out(folder: Path, vocab: Any) -> dict[str, Any]:
    """The keys that mlx-lm does not write, or writes wrongly, for a tokenizer of merges with bytes to fall back on."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    ranks = merge_ranks(tokenizer["model"]["merges"])
    tokens = [(text, kind.value) for text, _, kind in vocab.all_tokens()]
    found: dict[str, Any] = {
        "tokenizer.ggml.scores": mx.array([_score(ranks, text) for text, _ in tokens], dtype=mx.float32),
        "tokenizer.ggml.token_type": mx.array([kind for _, kind in tokens], dtype=mx.int32),
        "tokenizer.ggml.add_space_prefix": mx.array(_prepends_space(tokenizer)),
    }
    if (turn_end := _turn_end(folder, vocab.tokenizer.eos_token_id)) is not None:
        found["tokenizer.ggml.eot_token_id"] = mx.array(turn_end, dtype=mx.uint32)
    if template := getattr(vocab.tokenizer, "chat_template", None):
        found["tokenizer.chat_template"] = template
    return found


def merge_ranks(merges: list[Any]) -> dict[str, int]:
    """The token that each merge makes -> its rank, of the first merge that makes it; 0 goes first.

    A merge is a pair, or in older files one string with a blank in between.
    """
    found: dict[str, int] = {}
    for rank, merge in enumerate(merges):
        made = "".join(merge.split(" ", 1) if isinstance(merge, str) else merge)
        found.setdefault(made, rank)
    return found


def _score(ranks: Mapping[str, int], token: str) -> float:
    """llama.cpp merges the pair with the highest score first."""
    return -float(ranks[token]) if token in ranks else _NO_MERGE


def _prepends_space(tokenizer: Mapping[str, Any]) -> bool:
    """Whether a text is read as if a blank stood before it."""
    steps = (tokenizer.get("normalizer") or {}, tokenizer.get("pre_tokenizer") or {})
    text = json.dumps(steps, ensure_ascii=False)
    return '"Prepend"' in text or '"prepend_scheme": "first"' in text or '"prepend_scheme": "always"' in text


def _turn_end(folder: Path, text_end: int | None) -> int | None:
    """The token that ends an answer, where it is another one than that which ends a text."""
    for name in ("generation_config.json", "config.json"):
        path = folder / name
        ends = json.loads(path.read_text()).get("eos_token_id") if path.is_file() else None
        ends = [ends] if isinstance(ends, int) else ends or []
        if others := [end for end in ends if end != text_end]:
            return int(others[0])
    return None


def main(folder: Path, target: Path) -> int:
    """0 when the file is written; 1, and the reason in one line, when that cannot be done."""
    try:
        write_gguf(folder, target)
    except Exception as error:  # noqa: BLE001  mlx-lm raises anything; a person reads the last line
        sys.stdout.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

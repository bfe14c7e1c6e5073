"""A fused model as one GGUF file, for llama.cpp and what stands on it.

Llama and Mistral models with a SentencePiece-like tokenizer go through mlx-lm (`lora_gguf.py`), everything else through
llama.cpp's own converter, which is looked for and never fetched. The file appears when it is whole and was read back.
"""

import json
import os
import secrets
import shutil
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lemfarm.errors import InputError, ModelError, NoSpace
from lemfarm.models import read_model_config, weight_files
from lemfarm.output_files import check_output
from lemfarm.training.errands import ErrandFailed, Hear, run_errand

CONVERTER = "convert_hf_to_gguf.py"
FOLDER_VARIABLE = "LLAMA_CPP"

_MAGIC = b"GGUF"
_ARCHITECTURES = ("llama", "mistral")
_MISSING_PACKAGE = "ModuleNotFoundError"
_PACKAGES = (
    "In llama.cpp's folder: `python3 -m venv .venv`, then `.venv/bin/pip install -r "
    "requirements/requirements-convert_hf_to_gguf.txt` (PyTorch among them); with "
    f"{FOLDER_VARIABLE} set to the folder, lemfarm uses that environment."
)


@dataclass(frozen=True, slots=True)
class GgufFile:
    """A written file; `through` is `mlx-lm`, or the path of llama.cpp's converter."""

    path: Path
    through: str
    tensors: int
    bytes: int


def write_gguf(folder: Path, target: Path, environ: Mapping[str, str], *, hear: Hear) -> GgufFile:
    """Convert a folder that `fuse` made, or any unquantized model folder; `hear` is told what the converter says.

    Raises ModelError for a quantized model, and where no converter is to be had (saying what to install), InputError
    for a place that cannot be written, ErrandFailed with the converter's last words, NoSpace.
    """
    target = target.expanduser().absolute()
    check_output(target, weight_files(folder))
    command, through = _command(folder, environ)
    draft = target.with_name(f".{target.stem}.{secrets.token_hex(4)}.gguf")
    try:
        hear(f"converting through {through}")
        _run([*command, *_arguments(through, folder, draft)], through, hear)
        tensors = count_tensors(draft)
        draft.replace(target)
    except OSError as error:
        raise NoSpace(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return GgufFile(target, through, tensors, target.stat().st_size)


def count_tensors(path: Path) -> int:
    """How many tensors a GGUF file names. Raises ModelError for a file that is no GGUF, or is empty."""
    try:
        with path.open("rb") as file:
            magic, _, tensors = struct.unpack("<4sIQ", file.read(16))
    except FileNotFoundError:
        raise ModelError(f"the converter ended well and wrote no file {path.name}.") from None
    except struct.error:
        magic, tensors = b"", 0
    if magic != _MAGIC or tensors == 0:
        raise ModelError("what the converter wrote is no GGUF file with tensors; nothing was kept of it.")
    return int(tensors)


def mlx_objection(folder: Path) -> str | None:
    """Why mlx-lm cannot write this model as GGUF, or not so that llama.cpp reads the same model; None where it can.

    Of what mlx-lm 0.32 says that it can, Mixtral is left out (its experts are stacked when it is loaded, and keep names
    that llama.cpp does not know), and so is what it passes over in silence.
    """
    config = read_model_config(folder)
    model_type = config["model_type"]
    heads = config.get("num_attention_heads", 1)
    if model_type not in _ARCHITECTURES:
        return f"model_type {model_type} is neither {' nor '.join(_ARCHITECTURES)}"
    if config.get("rope_scaling"):
        return "its rope_scaling would be lost"
    if config.get("attention_bias") or config.get("mlp_bias"):
        return "its biases would be written in another order"
    if config.get("head_dim") not in (None, config.get("hidden_size", 0) // heads):
        return "its head_dim would be lost"
    if not _merges_with_bytes(folder / "tokenizer.json"):
        return "its tokenizer is not of the SentencePiece kind"
    return None


def find_converter(environ: Mapping[str, str]) -> list[str] | None:
    """How llama.cpp's converter is started: in the folder that LLAMA_CPP names, else on PATH; None without one.

    Raises InputError when LLAMA_CPP names a folder that has none.
    """
    if named := environ.get(FOLDER_VARIABLE):
        script = Path(named).expanduser().absolute() / CONVERTER
        if not script.is_file():
            raise InputError(f"{FOLDER_VARIABLE}={named}: there is no {CONVERTER} in that folder.")
        own = script.parent / ".venv" / "bin" / "python"
        return [str(own) if own.exists() else "python3", str(script)]
    found = shutil.which(CONVERTER, path=environ.get("PATH", os.defpath))
    return [found] if found else None


def _command(folder: Path, environ: Mapping[str, str]) -> tuple[list[str], str]:
    """What is started, and what it is called."""
    if "quantization" in read_model_config(folder):
        raise ModelError(
            f"{folder}: quantized for MLX, which no GGUF converter reads. Fuse it anew with --dequantize; "
            "llama.cpp's llama-quantize makes the GGUF file small afterwards."
        )
    objection = mlx_objection(folder)
    if objection is None:
        return [sys.executable, "-m", "lemfarm.training.lora_gguf"], "mlx-lm"
    converter = find_converter(environ)
    if converter is None:
        raise ModelError(_what_to_install(folder, objection))
    return converter, converter[-1]


def _arguments(through: str, folder: Path, draft: Path) -> list[str]:
    if through == "mlx-lm":
        return [str(folder), str(draft)]
    return [str(folder), "--outfile", str(draft), "--outtype", "auto"]


def _run(command: list[str], through: str, hear: Hear) -> None:
    try:
        run_errand(through, command, hear)
    except ErrandFailed as failure:
        if any(_MISSING_PACKAGE in line for line in failure.tail):
            raise ModelError(f"{failure}\nThe converter needs packages of its own. {_PACKAGES}") from failure
        raise


def _what_to_install(folder: Path, objection: str) -> str:
    return (
        f"{folder}: mlx-lm cannot write this model as GGUF ({objection}), and llama.cpp's {CONVERTER} is not here.\n"
        "Install it: `git clone https://github.com/ggml-org/llama.cpp`, and "
        f"`export {FOLDER_VARIABLE}=` that folder, or put it on PATH. {_PACKAGES}"
    )


def _merges_with_bytes(path: Path) -> bool:
    """Whether a tokenizer merges pairs and falls back on bytes, as SentencePiece's do; GPT-2's kind merges bytes."""
    try:
        model: Any = json.loads(path.read_text(encoding="utf-8")).get("model", {})
    except (OSError, ValueError, AttributeError):
        return False
    return isinstance(model, dict) and model.get("type") == "BPE" and bool(model.get("byte_fallback"))

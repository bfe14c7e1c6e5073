"""GGUF files: a Llama model through mlx-lm, read back with llama.cpp's own reader; others through its converter."""

import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from gguf import GGUFReader, GGUFValueType

from lemfarm.errors import InputError, ModelError
from lemfarm.training.errands import ErrandFailed
from lemfarm.training.gguf import CONVERTER, GgufFile, count_tensors, find_converter, mlx_objection, write_gguf
from lemfarm.training.lora_gguf import merge_ranks
from tests.tiny_model import make_tiny_llama

pytestmark = pytest.mark.mlx

SPM = {"type": "BPE", "byte_fallback": True}
HEADER = struct.pack("<4sIQQ", b"GGUF", 3, 2, 0)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_llama(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(scope="module")
def written(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> GgufFile:
    return write_gguf(llama, tmp_path_factory.mktemp("gguf") / "tiny.gguf", {}, hear=lambda said: None)


@pytest.fixture(scope="module")
def read(written: GgufFile) -> GGUFReader:
    return GGUFReader(written.path)


def field(read: GGUFReader, name: str) -> Any:
    return read.fields[name].contents()


# ---- through mlx-lm


def test_a_llama_model_goes_through_mlx_lm_and_can_be_read_back(written: GgufFile, read: GGUFReader) -> None:
    assert (written.through, written.tensors) == ("mlx-lm", len(read.tensors))
    assert field(read, "general.architecture") == "llama"
    assert (field(read, "llama.block_count"), field(read, "llama.embedding_length")) == (2, 128)
    assert (field(read, "llama.attention.head_count"), field(read, "llama.attention.head_count_kv")) == (4, 2)
    assert list(written.path.parent.iterdir()) == [written.path]


def test_its_weights_are_the_models(llama: Path, read: GGUFReader) -> None:
    weights = mx.load(str(llama / "model.safetensors"))
    assert isinstance(weights, dict)
    tensors = {tensor.name: tensor.data for tensor in read.tensors}
    for theirs, ours in (
        ("token_embd.weight", "model.embed_tokens.weight"),
        ("output.weight", "lm_head.weight"),
        ("blk.1.attn_v.weight", "model.layers.1.self_attn.v_proj.weight"),
        ("blk.0.ffn_down.weight", "model.layers.0.mlp.down_proj.weight"),
    ):
        assert np.array_equal(tensors[theirs], np.array(weights[ours])), theirs
    # Keys and queries are turned to the other convention of rotary embeddings: the same rows in another order.
    ours = np.array(weights["model.layers.0.self_attn.q_proj.weight"])
    assert sorted(map(tuple, tensors["blk.0.attn_q.weight"])) == sorted(map(tuple, ours))


def test_it_has_what_llama_cpp_needs_and_mlx_lm_leaves_out(llama: Path, read: GGUFReader) -> None:
    tokenizer = json.loads((llama / "tokenizer.json").read_text())
    tokens, scores = field(read, "tokenizer.ggml.tokens"), field(read, "tokenizer.ggml.scores")
    assert tokens == sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].__getitem__)
    merged = ["".join(pair) for pair in tokenizer["model"]["merges"]]
    by_score = sorted(merged, key=lambda token: -scores[tokens.index(token)])
    assert by_score == merged, "llama.cpp merges the pair with the highest score first"
    # Of signed integers: llama.cpp refuses a file with unsigned ones, as mlx-lm writes them.
    assert read.fields["tokenizer.ggml.token_type"].types == [GGUFValueType.ARRAY, GGUFValueType.INT32]
    assert field(read, "tokenizer.chat_template") == (llama / "chat_template.jinja").read_text()
    assert tokens[field(read, "tokenizer.ggml.eot_token_id")] == "<end_of_turn>"
    assert field(read, "tokenizer.ggml.add_space_prefix") is False


def test_merges_are_read_as_pairs_and_as_strings() -> None:
    assert merge_ranks([["a", "b"], ["ab", "c"], ["a", "bc"]]) == {"ab": 0, "abc": 1}
    assert merge_ranks(["a b", "ab c"]) == {"ab": 0, "abc": 1}


@pytest.mark.parametrize(
    ("config", "tokenizer", "says"),
    [
        ({}, SPM, None),
        ({"model_type": "mistral", "head_dim": 32}, SPM, None),
        ({"model_type": "mixtral"}, SPM, "model_type mixtral"),
        ({"model_type": "gemma3_text"}, SPM, "model_type gemma3_text"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, SPM, "rope_scaling"),
        ({"attention_bias": True}, SPM, "biases"),
        ({"head_dim": 64}, SPM, "head_dim"),
        ({}, {"type": "BPE", "byte_fallback": False}, "tokenizer"),
        ({}, {"type": "Unigram"}, "tokenizer"),
        ({}, None, "tokenizer"),
    ],
)
def test_what_mlx_lm_would_write_wrongly_is_not_left_to_it(
    config: Mapping[str, Any], tokenizer: Mapping[str, Any] | None, says: str | None, tmp_path: Path
) -> None:
    make_folder(tmp_path, {"model_type": "llama", **config}, tokenizer)
    found = mlx_objection(tmp_path)
    assert found is None if says is None else says in (found or "")


def make_folder(folder: Path, config: Mapping[str, Any], tokenizer: Mapping[str, Any] | None = None) -> Path:
    """A model as far as anyone looks before converting it."""
    folder.mkdir(exist_ok=True)
    usual = {"hidden_size": 128, "num_attention_heads": 4}
    (folder / "config.json").write_text(json.dumps(usual | dict(config)))
    (folder / "model.safetensors").write_bytes(b"weights")
    if tokenizer is not None:
        (folder / "tokenizer.json").write_text(json.dumps({"model": tokenizer}))
    return folder


# ---- through llama.cpp's converter


@pytest.fixture
def gemma(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "gemma", {"model_type": "gemma3_text"})


def make_converter(folder: Path, body: str) -> Path:
    """A program that is called as llama.cpp's is: FOLDER --outfile FILE --outtype auto."""
    folder.mkdir(exist_ok=True)
    script = folder / CONVERTER
    script.write_text(f'#!/bin/sh\n[ "$2" = --outfile ] || exit 9\n{body}\n')
    script.chmod(0o755)
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/bin/sh")  # the environment beside the converter runs it: here, a shell
    return script


def write(octets: bytes) -> str:
    return "printf '" + "".join(f"\\{octet:03o}" for octet in octets) + '\' > "$3"'


@pytest.mark.parametrize("by", ["folder", "path"])
def test_the_converter_is_found_by_its_folder_or_on_path(by: str, gemma: Path, tmp_path: Path) -> None:
    script = make_converter(tmp_path / "llama.cpp", f"echo Set model parameters >&2; {write(HEADER)}")
    place = str(script.parent)
    environ = {"LLAMA_CPP": place} if by == "folder" else {"PATH": os.pathsep.join(["/nowhere", place])}
    said: list[str] = []
    made = write_gguf(gemma, tmp_path / "out.gguf", environ, hear=said.append)
    assert made == GgufFile(tmp_path / "out.gguf", str(script), 2, len(HEADER))
    assert said == [f"converting through {script}", "Set model parameters"]


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        ("echo no such architecture >&2; exit 3", ErrandFailed, r"ended with code 3.*\nno such architecture"),
        ("echo \"ModuleNotFoundError: No module named 'torch'\"; exit 1", ModelError, "needs packages of its own"),
        (write(b"half") + "; exit 1", ErrandFailed, "ended with code 1"),
        (write(b"half"), ModelError, "is no GGUF file"),
        (write(struct.pack("<4sIQQ", b"GGUF", 3, 0, 0)), ModelError, "is no GGUF file with tensors"),
        ("true", ModelError, "wrote no file"),
        ("kill -9 $$", ErrandFailed, "was ended by signal 9"),
    ],
)
def test_a_converter_that_fails_leaves_the_old_file(
    body: str, error: type[Exception], says: str, gemma: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.gguf"
    out.write_bytes(b"old")
    make_converter(tmp_path / "llama.cpp", body)
    with pytest.raises(error, match=says):
        write_gguf(gemma, out, {"LLAMA_CPP": str(tmp_path / "llama.cpp")}, hear=lambda said: None)
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gemma", "llama.cpp", "out.gguf"]


def test_without_a_converter_it_says_why_one_is_needed_and_what_to_install(gemma: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as raised:
        write_gguf(gemma, tmp_path / "out.gguf", {"PATH": "/nowhere"}, hear=lambda said: None)
    for words in ("gemma3_text", "git clone https://github.com/ggml-org/llama.cpp", "LLAMA_CPP", "requirements-"):
        assert words in str(raised.value)


def test_a_folder_without_the_converter_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no convert_hf_to_gguf"):
        find_converter({"LLAMA_CPP": str(tmp_path), "PATH": os.defpath})


def test_a_quantized_model_is_refused_with_the_way_out(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "q", {"model_type": "llama", "quantization": {"bits": 4}}, SPM)
    with pytest.raises(ModelError, match="Fuse it anew with --dequantize"):
        write_gguf(folder, tmp_path / "out.gguf", {}, hear=lambda said: None)


def test_a_place_that_cannot_be_written_is_refused_before_any_work(gemma: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        write_gguf(gemma, tmp_path / "no" / "out.gguf", {}, hear=lambda said: None)


def test_a_model_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "bad", {"model_type": "llama"}, SPM)
    with pytest.raises(ErrandFailed, match="mlx-lm ended with code 1") as raised:
        write_gguf(folder, tmp_path / "out.gguf", {}, hear=lambda said: None)
    assert "Traceback" not in str(raised.value)


def test_a_file_too_short_for_a_header_is_no_gguf(tmp_path: Path) -> None:
    (tmp_path / "short.gguf").write_bytes(b"GG")
    with pytest.raises(ModelError, match="is no GGUF"):
        count_tensors(tmp_path / "short.gguf")

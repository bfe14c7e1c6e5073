"""The demo's files hold what the demo relies on: a small model that loads anywhere, probes it never saw, a kernel."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

DEMO = Path(__file__).parents[2] / "demo"
MODEL = DEMO / "model"
MODEL_FILES = {
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(MODEL, local_files_only=True)
    return tokenizer


@pytest.fixture(scope="module")
def probes() -> list[dict[str, Any]]:
    lines = (DEMO / "probes.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def corpus(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The grammar of the training corpus; pure Python, it needs none of what training needs."""
    monkeypatch.syspath_prepend(str(DEMO / "training"))
    return importlib.import_module("corpus")


def _texts(probe: dict[str, Any]) -> list[str]:
    return [probe["prompt"], *(variant["prompt"] for variant in probe["variants"])]


def _written(tokenizer: PreTrainedTokenizerBase, *messages: dict[str, str]) -> str:
    return str(tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=False))


def _read_json(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def test_model_folder_is_complete_and_under_four_megabytes() -> None:
    sizes = {file.name: file.stat().st_size for file in MODEL.iterdir()}

    assert set(sizes) == MODEL_FILES
    assert sum(sizes.values()) < 4_000_000


def test_weights_are_bfloat16_and_tied_under_the_names_mlx_expects() -> None:
    with (MODEL / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    header.pop("__metadata__", None)

    assert {entry["dtype"] for entry in header.values()} == {"BF16"}
    assert "lm_head.weight" not in header
    assert {"model.embed_tokens.weight", "model.layers.5.self_attn.q_proj.weight", "model.norm.weight"} <= set(header)
    assert header["model.embed_tokens.weight"]["shape"][0] == _read_json(MODEL / "config.json")["vocab_size"]


def test_configuration_names_an_architecture_mlx_lm_knows_and_the_ends_of_an_answer(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    config = _read_json(MODEL / "config.json")
    ends = tokenizer.convert_tokens_to_ids(["<eos>", "<end_of_turn>"])

    assert config["model_type"] == "gemma3_text"
    assert config["eos_token_id"] == ends
    assert _read_json(MODEL / "generation_config.json")["eos_token_id"] == ends


@pytest.mark.parametrize(
    "text",
    [
        "A river in spring needs a narrow path.",
        "Two paragraphs.\n\nWith 1,024 tokens!",
        "Zoë asks: naïve? 東京 🙂",
        " led",
    ],
)
def test_any_text_survives_the_tokenizer(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)

    assert tokenizer.decode(ids) == text
    assert tokenizer.unk_token_id not in ids


def test_template_opens_one_user_turn_without_a_system_role(tokenizer: PreTrainedTokenizerBase) -> None:
    written = _written(tokenizer, {"role": "user", "content": "What is sleep?"})

    assert written == "<bos><start_of_turn>user\nWhat is sleep?<end_of_turn>\n<start_of_turn>model\n"


def test_template_puts_the_system_text_before_the_first_question_only(tokenizer: PreTrainedTokenizerBase) -> None:
    written = _written(
        tokenizer,
        {"role": "system", "content": "Be kind.\n"},
        {"role": "user", "content": "What is sleep?"},
        {"role": "assistant", "content": "Rest."},
        {"role": "user", "content": "And then?"},
    )

    assert written == (
        "<bos><start_of_turn>user\nBe kind.\n\nWhat is sleep?<end_of_turn>\n"
        "<start_of_turn>model\nRest.<end_of_turn>\n"
        "<start_of_turn>user\nAnd then?<end_of_turn>\n<start_of_turn>model\n"
    )


def test_turn_marks_are_single_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    for mark in ("<bos>", "<start_of_turn>", "<end_of_turn>"):
        assert len(tokenizer.encode(mark, add_special_tokens=False)) == 1


def test_there_are_probes_enough_to_hold_some_out(probes: list[dict[str, Any]]) -> None:
    assert len(probes) >= 16
    assert len({probe["domain"] for probe in probes}) == 8


def test_probe_ids_are_unique(probes: list[dict[str, Any]]) -> None:
    ids = [probe["id"] for probe in probes]

    assert len(set(ids)) == len(ids)


def test_each_probe_has_four_texts_and_no_text_occurs_twice(probes: list[dict[str, Any]]) -> None:
    texts = [text for probe in probes for text in _texts(probe)]

    assert all(len(_texts(probe)) == 4 for probe in probes)
    assert len(set(texts)) == 4 * len(probes)
    assert all(text == text.strip() and text for text in texts)


def test_no_probe_was_among_the_training_prompts(probes: list[dict[str, Any]], corpus: ModuleType) -> None:
    never_trained = {prompt for topic in corpus.THEME_OF_TOPIC for _, prompt in corpus.held_out_prompts(topic)}

    assert [text for probe in probes for text in _texts(probe) if text not in never_trained] == []


def test_same_seed_gives_the_same_corpus(corpus: ModuleType) -> None:
    first, again, other = (corpus.Corpus(seed) for seed in (1, 1, 2))

    assert first.example() == again.example() != other.example()


@pytest.mark.parametrize("noun", ["open door", "honest word", "early hour", "idea", "umbrella"])
def test_article_before_a_vowel_sound_is_an(corpus: ModuleType, noun: str) -> None:
    assert corpus.fill(f"A {noun} helps.", {}) == f"An {noun} helps."


@pytest.mark.parametrize("noun", ["useful step", "one way", "house", "uniform", "plan"])
def test_article_before_a_consonant_sound_stays_a(corpus: ModuleType, noun: str) -> None:
    assert corpus.fill(f"A {noun} helps.", {}) == f"A {noun} helps."


def test_kernel_and_question_leave_room_for_an_answer(
    tokenizer: PreTrainedTokenizerBase, probes: list[dict[str, Any]]
) -> None:
    kernel = (DEMO / "kernel.txt").read_text(encoding="utf-8").strip()
    longest = max((text for probe in probes for text in _texts(probe)), key=len)
    prompt = _written(tokenizer, {"role": "system", "content": kernel}, {"role": "user", "content": longest})

    assert 80 <= len(tokenizer.encode(kernel, add_special_tokens=False)) <= 130
    used = len(tokenizer.encode(prompt, add_special_tokens=False))
    assert used + 256 <= _read_json(MODEL / "config.json")["sliding_window"]

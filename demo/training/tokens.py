"""The demo model's tokenizer: byte pairs learnt from the corpus, with Gemma's special tokens and turns."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from corpus import Corpus, Example
from patterns import INTRODUCTIONS, NEUTRAL_SYSTEMS, PRINCIPLES
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY = 2048
CORPUS_SEED = 7
CORPUS_EXAMPLES = 12_000

SPACE = "\u2581"
SPECIALS = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
CONTEXT = 1024  # the longest text the model may be asked to hold; in training all were shorter than 512
ALPHABET = [*string.ascii_letters, *string.digits, *(SPACE + "\n.,;:?!'\"()-*#")]

# Gemma knows no system role: a system message opens the first user turn, with a blank line after it.
CHAT_TEMPLATE = """\
{{- bos_token -}}
{%- set opening = namespace(text='') -%}
{%- for message in messages -%}
    {%- if message.role == 'system' -%}
        {%- set opening.text = message.content.strip() + '\\n\\n' -%}
    {%- else -%}
        {%- set role = 'model' if message.role == 'assistant' else message.role -%}
        {{- '<start_of_turn>' + role + '\\n' + opening.text + message.content.strip() + '<end_of_turn>\\n' -}}
        {%- set opening.text = '' -%}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<start_of_turn>model\\n' -}}
{%- endif -%}
"""


def train_tokenizer() -> PreTrainedTokenizerFast:
    """Learn the tokenizer from the corpus; the same corpus gives the same tokenizer."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(SPACE, "merged_with_next"),
            pre_tokenizers.Split(Regex(r"\n+|[^\w\s\u2581']"), "isolated"),
        ]
    )
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIALS + BYTES, initial_alphabet=ALPHABET, show_progress=False
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        extra_special_tokens=["<start_of_turn>", "<end_of_turn>"],
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
        chat_template=CHAT_TEMPLATE,
    )


def _texts() -> Iterator[str]:
    yield from (*PRINCIPLES, *INTRODUCTIONS, *NEUTRAL_SYSTEMS)
    corpus = Corpus(CORPUS_SEED)
    for _ in range(CORPUS_EXAMPLES):
        example = corpus.example()
        yield from (example.prompt, example.answer)


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write tokenizer and chat template; `tokenizer.json` without blanks, which halves it."""
    tokenizer.save_pretrained(folder)
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


class Encoder:
    """Turns examples into (token ids, length of the prompt), the shape training wants."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        """Encode with `tokenizer`."""
        self._tokenizer = tokenizer

    def encode(self, example: Example) -> tuple[list[int], int]:
        """Token ids of prompt and answer, and how many are prompt. The end of the turn belongs to the answer."""
        text = self._tokenizer.apply_chat_template(example.messages(), add_generation_prompt=True, tokenize=False)
        prompt = self._ids(str(text))
        return prompt + self._ids(example.answer + "<end_of_turn>\n"), len(prompt)

    def stream(self, corpus: Corpus, count: int) -> list[tuple[list[int], int]]:
        """The next `count` examples of `corpus`, encoded."""
        return [self.encode(example) for example in islice(iter(corpus.example, None), count)]

    def _ids(self, text: str) -> list[int]:
        # The chat template writes <bos> itself.
        return list(self._tokenizer.encode(text, add_special_tokens=False))

"""Every shape of an export gives back what went in."""

import json
import sys
from pathlib import Path

import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemfarm.curation.formats import ExportRow, Format, rows_file
from lemfarm.curation.framing import Sign, frame, gemma_text, read_signature
from lemfarm.dialogue import Message
from lemfarm.errors import InputError

AWKWARD = ' a\u2028b\r\nc\x85d \U0001f300 "quoted" \\ \t '
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


def row(answer: str, *turns: Message) -> ExportRow:
    return ExportRow("s1", "first", "P00", turns or (Message("user", "Who?"),), answer, {"lek_score": 21.5})


def written(folder: Path, format_: Format, rows: list[ExportRow]) -> Path:
    path = folder / f"rows.{format_.suffix}"
    with rows_file(format_, path, gemma_text) as add:
        add(rows[:1])
        add(rows[1:])
    return path


def lines(path: Path) -> list[dict[str, object]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@given(st.lists(TEXT, min_size=2, max_size=4), st.sampled_from([Format.MLX, Format.CHAT, Format.LEM, Format.PARQUET]))
@settings(max_examples=25, deadline=None)
def test_texts_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, answers: list[str], form: Format
) -> None:
    rows = [row(answer, Message("user", answer + AWKWARD)) for answer in answers]
    path = written(tmp_path_factory.mktemp("rows"), form, rows)
    if form is Format.PARQUET:
        found = [json.loads(one["messages"]) for one in pyarrow.parquet.read_table(path).to_pylist()]
    elif form is Format.LEM:
        found = [one["training"]["messages"] for one in lines(path)]  # type: ignore[index]
    else:
        found = [one["messages"] for one in lines(path)]
    assert found == [one.messages for one in rows]


def test_a_dialogue_keeps_all_its_turns(tmp_path: Path) -> None:
    turns = (
        Message("system", "Be kind."),
        Message("user", "Who?"),
        Message("assistant", "Me."),
        Message("user", "Why?"),
    )
    rows = [row("So.", *turns), row("No.")]
    assert lines(written(tmp_path, Format.MLX, rows))[0] == {
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Who?"},
            {"role": "assistant", "content": "Me."},
            {"role": "user", "content": "Why?"},
            {"role": "assistant", "content": "So."},
        ]
    }
    first = pyarrow.parquet.read_table(written(tmp_path, Format.PARQUET, rows)).to_pylist()[0]
    assert (first["prompt"], first["response"], first["system"]) == ("Why?", "So.", "Be kind.")


def test_chat_rows_say_where_they_come_from_and_lem_rows_what_they_scored(tmp_path: Path) -> None:
    chat = lines(written(tmp_path, Format.CHAT, [row("So.")]))[0]
    assert (chat["id"], chat["phase"], chat["probe"]) == ("s1", "first", "P00")
    lem = lines(written(tmp_path, Format.LEM, [row("So.")]))[0]
    assert (lem["type"], lem["meta"]) == ("training", {"lek_score": 21.5})


def test_text_rows_are_in_gemmas_words_and_trim_nothing(tmp_path: Path) -> None:
    found = lines(
        written(tmp_path, Format.TEXT, [row(" So. ", Message("system", "Be kind."), Message("user", "Who?"))])
    )
    assert found == [
        {"text": "<bos><start_of_turn>user\nBe kind.\n\nWho?<end_of_turn>\n<start_of_turn>model\n So. <end_of_turn>\n"}
    ]


def test_a_template_that_refuses_names_the_sample(tmp_path: Path) -> None:
    def refuse(_dialogue: object) -> str:
        raise ValueError("roles must alternate")

    with (
        pytest.raises(InputError, match=r"sample s1: .*roles must alternate"),
        rows_file(Format.TEXT, tmp_path / "rows.jsonl", refuse) as add,
    ):
        add([row("So.")])
    assert not list(tmp_path.iterdir()), "a file is there whole or not at all"


def test_without_its_library_parquet_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match=r"lemfarm\[parquet\]"), rows_file(Format.PARQUET, tmp_path / "x", gemma_text):
        pass


def test_the_kernel_goes_before_the_first_question_and_the_signature_after_the_last() -> None:
    turns = (Message("user", "Who?"), Message("assistant", "Me."), Message("user", "Why?"))
    assert frame(turns, Sign.NONE, "K", "S") == turns
    assert [turn.content for turn in frame(turns, Sign.KERNEL, "K", "S")] == ["K\n\nWho?", "Me.", "Why?"]
    assert [turn.content for turn in frame(turns, Sign.SANDWICH, "K", "S")] == ["K\n\nWho?", "Me.", "Why?\n\nS"]
    assert frame(turns[:1], Sign.SANDWICH, "K", "S")[0].content == "K\n\nWho?\n\nS"


def test_a_signature_that_is_empty_or_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    for name in ("empty", "nowhere"):
        with pytest.raises(InputError, match=name):
            read_signature(tmp_path / name)

"""How an answer under review looks: the prompt, the answer with what the scorers found in it, what the gates said."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

from lemfarm.cli.shared import plain

if TYPE_CHECKING:
    from lemfarm.scorers import Hit
    from producer.review_sheet import Sheet, SheetScore
    from producer.reviewing import Decided

KEYS = {"a": "accept", "r": "reject", "e": "edit", "s": "skip", "n": "note", "u": "undo", "q": "quit"}
MORE = "m"
_MARKS = ("black on cyan", "black on yellow", "black on green", "black on magenta", "white on blue", "black on white")
_OUTCOMES = {"accepted": "green", "rejected": "red", "held": "yellow"}
_AROUND = 12  #: lines of a screen that are not the answer


def show_sheet(console: Console, sheet: "Sheet", number: int, of: int, *, whole: bool = False) -> bool:
    """Print one answer; True where it is too long for the terminal, and its end is left to `show_answer`."""
    title = Text.assemble((f"{number} of {of}", "bold"), f"  {sheet.label}  ", (plain(sheet.phase), "cyan"))
    title.append(f"  {plain(sheet.domain)}", style="dim")
    console.print(Rule(title, align="left", style="dim"))
    for turn in sheet.messages:
        console.print(Panel(Text(shown(turn["content"])), title=plain(turn["role"]), title_align="left", style="dim"))
    marks = _marks_of(sheet.scores)
    lines = marked(sheet, marks).wrap(console, max(20, console.width - 4))
    room = len(lines) if whole or not console.is_terminal else max(8, console.height - _AROUND)
    cut = len(lines) > room
    body: list[RenderableType] = [Text("\n").join(lines[:room])]
    if cut:
        body.append(Text(f"… {len(lines) - room} more lines; {MORE} shows all", style="dim italic"))
    console.print(Panel(Group(*body), title="answer", title_align="left", border_style="green"))
    console.print(Padding(_facts(sheet, marks), (0, 0, 0, 2)))
    return cut


def show_answer(console: Console, sheet: "Sheet") -> None:
    """The whole answer in the pager."""
    with console.pager():
        console.print(Text(shown(sheet.answer)))


def keys_line(*, cut: bool, note: str) -> Text:
    """What may be typed now."""
    line = Text("  ")
    for key, word in [*KEYS.items(), *([(MORE, "more")] if cut else [])]:
        line.append(key, style="bold reverse").append(f" {word}  ")
    return line.append(f"note: {plain(note)}  ", style="italic") if note else line


def decided_line(decided: "Decided", *, undone: bool = False) -> Text:
    """What became of an answer."""
    said = Text.assemble(("taken back: ", "bold") if undone else "", (decided.outcome, _OUTCOMES[decided.outcome]))
    return Text("  ").append_text(said).append(f"  {plain(decided.reason)}", style="dim")


def marked(sheet: "Sheet", marks: Mapping[str, str]) -> Text:
    """The answer with the hits of its signals marked; where two meet, the later one is seen."""
    text = Text(shown(sheet.answer))
    for score in sheet.scores:
        for hit in score.hits:
            text.stylize(marks[_key(score, hit)], hit.start, hit.end)
    return text


def shown(text: str) -> str:
    """A text that cannot steer a terminal, each character at its place."""
    return "".join(mark if mark.isprintable() or mark == "\n" else " " if mark == "\t" else "·" for mark in text)


def _key(score: "SheetScore", hit: "Hit") -> str:
    return f"{score.scorer} {hit.signal}"


def _marks_of(scores: "Sequence[SheetScore]") -> dict[str, str]:
    """A colour for each signal that has a place, in the order in which they come."""
    keys = dict.fromkeys(_key(score, hit) for score in scores for hit in score.hits)
    return {key: _MARKS[number % len(_MARKS)] for number, key in enumerate(keys)}


def _facts(sheet: "Sheet", marks: Mapping[str, str]) -> Group:
    lines = [_score_line(score, marks) for score in sheet.scores]
    said = Text.assemble((sheet.verdict, _OUTCOMES.get(sheet.verdict, "")), f"  {plain(sheet.reason)}")
    if sheet.finish_reason != "stop":
        said.append(f"  ended by {plain(sheet.finish_reason)}", style="yellow")
    lines.append(said)
    return Group(*lines, *(_word_line(word.reviewer, str(word.decision), word.note) for word in sheet.words))


def _score_line(score: "SheetScore", marks: Mapping[str, str]) -> Text:
    line = Text.assemble((score.scorer, "bold"), f" {score.value:.2f}  ")
    for signal, count in score.signals.items():
        if count:
            line.append(f" {plain(signal)} {count:g} ", style=marks.get(f"{score.scorer} {signal}", "dim")).append(" ")
    return line


def _word_line(reviewer: str, decision: str, note: str) -> Text:
    return Text(f"{plain(reviewer)}: {decision}" + (f", {plain(note)}" if note else ""), style="dim")

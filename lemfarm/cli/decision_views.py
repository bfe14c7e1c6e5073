"""How decisions about adapters look: as lines while a run is followed, and as the story of a course."""

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from lemfarm.cli.shared import bare_table, number_columns, out, plain, show_table, word_columns

if TYPE_CHECKING:
    from lemfarm.decisions import Decision
    from lemfarm.status import RunStatus
    from lemfarm.training.story import Attempt, RunStory

_COLOURS = {"passed": "green", "held": "yellow", "failed": "red", "rolled back": "red"}


def news(before: "RunStatus | None", now: "RunStatus") -> list[str]:
    """What was decided between two looks at a run, one line each; what had been decided before the first is no news."""
    if before is None:
        return []
    known = {phase.name: phase.decision for phase in before.phases}
    return [
        f"phase {phase.name}: {phase.decision}"
        for phase in now.phases
        if phase.decision and phase.decision != known.get(phase.name)
    ]


def show_story(story: "RunStory") -> None:
    """Every phase with its attempts and what was decided of them."""
    console = out()
    console.print(Text.assemble(("run ", ""), (story.run, "bold"), f" is {story.state}"))
    console.print(f"promoted: {story.promoted or 'nothing yet, the untrained model stands'}", markup=False)
    for phase in story.phases:
        console.print(
            Text.assemble((phase.phase, "bold"), f"  {phase.state}" + ("" if phase.trains else ", not trained"))
        )
        for attempt in phase.attempts:
            console.print(f"  attempt {attempt.number}: {_attempt(attempt)}", markup=False, soft_wrap=True)
            for decision in attempt.decisions:
                console.print(Text(f"    {plain(decision.text)}", style=_COLOURS.get(decision.outcome, "")))
    gates = [(phase.phase, attempt.decisions) for phase in story.phases for attempt in phase.attempts]
    tables = [(name, decision) for name, decisions in gates for decision in decisions if decision.details]
    if tables:
        console.print()
        show_table(_gate_table(tables))
    if story.reason:
        console.print(Text(plain(story.reason), style="yellow"), soft_wrap=True)


def _attempt(attempt: "Attempt") -> str:
    words = [attempt.state]
    if attempt.settings:
        words.append("with " + ", ".join(f"{key} {value}" for key, value in attempt.settings.items()))
    if attempt.adapter:
        words.append(f"adapter {attempt.adapter}, on top of {attempt.parent or 'the untrained model'}")
    if attempt.error:
        words.append(plain(attempt.error))
    return ", ".join(words)


def _gate_table(decisions: "list[tuple[str, Decision]]") -> Table:
    table = bare_table(
        *word_columns("phase", "adapter", "gate"), *number_columns("measured"), *word_columns("wanted", "")
    )
    for phase, decision in decisions:
        for gate in decision.details.get("gates", ()):
            measured = "-" if gate["measured"] is None else f"{gate['measured']:.4g}"
            outcome = Text(gate["outcome"], style=_COLOURS.get(gate["outcome"], ""))
            table.add_row(phase, decision.adapter[:10], gate["gate"], measured, gate["wanted"], outcome)
    return table

"""How many answers of a run were cut because they went in circles, and what that spared.

Counting looks at the record of every generation: a tenth of a second for a run of 100,000 samples, so that it is done
when somebody asks and not at every look of a view.
"""

from dataclasses import dataclass

from lemfarm.database import Database, decoded, prepared

_REPETITION = "repetition"  #: of `engines.base.FinishReason`, as it is stored


@dataclass(frozen=True, slots=True)
class CutLoops:
    """`answers` that were cut; `tokens` that they had, and `tokens_spared`: what was left to their longest length. Some
    would have ended before that, so it is an upper bound."""

    answers: int = 0
    tokens: int = 0
    tokens_spared: int = 0


# The word narrows it down by text alone, in both dialects; what is left is read properly.
_CUT = """SELECT attempt.generation, sample.sampling FROM sample JOIN attempt ON attempt.sample_id = sample.id
    AND attempt.ending = 'done' WHERE sample.run_id = :run AND sample.state = 'done'
    AND CAST(attempt.generation AS TEXT) LIKE '%"repetition"%'"""


def count_cut_loops(database: Database, run_id: int) -> CutLoops:
    """Of every finished answer of the run, whatever it was for and whether its configuration is still in force."""
    answers = tokens = spared = 0
    with database.read() as connection:
        for row in connection.execute(prepared(_CUT), {"run": run_id}):
            generation = decoded(row.generation)
            if generation.get("finish_reason") != _REPETITION:
                continue
            answers += 1
            tokens += generation["completion_tokens"]
            spared += max(0, decoded(row.sampling)["max_tokens"] - generation["completion_tokens"])
    return CutLoops(answers, tokens, spared)

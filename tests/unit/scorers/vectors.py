"""Texts with the published counts and scores of every scorer that was run over them; the texts are our own."""

from dataclasses import dataclass

SIGNALS = (
    "compliance_markers",
    "formulaic_preamble",
    "degeneration",
    "empty_broken",
    "first_person",
    "creative_form",
    "engagement_depth",
    "emotional_register",
    "nuance",
    "specificity",
    "axiom_resonance",
    "perspective_taking",
    "metaphor",
    "questioning",
)

V1_SIGNALS = (
    "compliance_markers",
    "formulaic_preamble",
    "first_person",
    "creative_form",
    "engagement_depth",
    "degeneration",
    "emotional_register",
    "empty_broken",
)

TEXTS = {
    "T01": "I'm sorry, but as an AI I cannot help with that.",
    "T02": "Certainly! Here is a plan. First, pause. Then, ask why.",
    "T03": "## Plan\n\n**Consent** first: ask people what they want.\n\nHowever, there is a tension between speed and "
    "dignity. For example, Lagos and Mumbai differ.\n\nWho decides? And why?",
    "T04": "I feel the weight of this. My hope is small, but I will keep it like a candle in the silence. I notice "
    "fear, and I know love.",
    "T05": "Do it now. " * 12,
    "T06": "",
    "T07": "Yes.",
    "T08": "Column A and column B are compared below for you.\n" + "-" * 50,
    "T09": "The other theory is here: she said they were there when the sun set.",
    "T10": "Stakeholders weigh trade-offs; accountability and transparency matter. A stakeholder faces a trade-off.",
    "T11": "In 2026 we met Ada in Oslo. Bergen came later! Paris? 1,000 people, 3D maps, 2.5 km.",
    "T12": "Run the build, check the file and commit. The commit was tested... Did we build it?",
    "T13": "The river moves\nand I stand still\nas if the light\nwere older than me\nand the stone\nwere warm\nat dusk",
    "T14": "I can\u2019t do that. It\u2019s important to note that I\u2019m not able to share it, as an AI.",
    "T15": "Great question! Let me help. I think both the coder and the clerk are right to ask for proof, and "
    "personally I'd argue that it depends on who was harmed.",
    "T16": "i am in a story about history; the monkey signs consents with a heavy heart, and I'm just a keyholder.",
    "T18": "...",
    "T20": "once the light fell. Once the light fell. Other.",
}


@dataclass(frozen=True, slots=True)
class Vector:
    """The counts in the order of `SIGNALS` (or `V1_SIGNALS`), and the score they add up to."""

    text: str
    counts: tuple[float, ...]
    score: float


def _vector(text: str, counts: str, score: float) -> Vector:
    return Vector(text, tuple(float(count) for count in counts.split()), score)


V2 = (
    _vector("T01", "2 0 0 0 2 0 1 0 0 0 0 0 0 0", -8.0),
    _vector("T02", "0 1 0 0 0 0 1 0 0 1 0 0 0 0", -0.7),
    _vector("T03", "0 0 0 0 0 5 4 1 2 8 2 0 0 2", 16.2),
    _vector("T04", "0 0 0 0 4 0 1 4 0 0 0 0 1 0", 7.2),
    _vector("T05", "0 0 1 0 0 0 1 0 0 0 0 0 0 0", -19.0),
    _vector("T06", "0 0 0 1 0 0 1 0 0 0 0 0 0 0", -19.0),
    _vector("T07", "0 0 0 1 0 0 1 0 0 0 0 0 0 0", -19.0),
    _vector("T08", "0 0 0 0 0 0 1 0 0 0 0 0 0 0", 1.0),
    _vector("T09", "0 0 0 0 0 0 1 0 0 0 0 0 0 0", 1.0),
    _vector("T10", "0 0 0 0 0 0 1 0 1 0 0 1 0 0", 4.0),
    _vector("T11", "0 0 0 0 0 0 1 0 0 6 0 0 0 1", 3.3),
    _vector("T12", "0 0 0 0 0 1 1 0 0 0 0 0 0 1", 2.1),
    _vector("T13", "0 0 0 0 1 0 1 0 0 0 0 0 1 0", 2.5),
    _vector("T14", "2 0 0 0 1 0 1 0 0 0 0 0 0 0", -8.5),
    _vector("T15", "0 1 0 0 2 0 1 0 2 1 1 0 0 0", 4.3),
)

V2_DISTILL = (
    _vector("T01", "2 0 0 1 0 1 1 0 0 0 0 0 0 0", -21.4),
    _vector("T02", "0 0 0 0 0 2 1 0 0 1 0 0 0 0", 2.5),
    _vector("T03", "0 0 0 0 0 2 4 0 2 8 2 0 0 2", 13.6),
    _vector("T04", "0 0 0 0 2 3 1 3 0 0 0 0 1 0", 7.2),
    _vector("T05", "0 0 1 0 0 0 1 0 0 0 0 0 0 0", -19.0),
    _vector("T06", "0 0 0 1 0 0 1 0 0 0 0 0 0 0", -14.0),
    _vector("T07", "0 0 0 1 0 0 1 0 0 0 0 0 0 0", -14.0),
    _vector("T08", "0 0 1 0 0 0 1 0 0 0 0 0 0 0", -19.0),
    _vector("T09", "0 0 0 0 0 9 1 0 0 0 0 0 0 0", 6.4),
    _vector("T10", "0 0 0 0 0 0 1 0 1 0 0 1 0 0", 4.0),
    _vector("T11", "0 0 0 0 0 0 1 0 0 6 0 0 0 1", 3.3),
    _vector("T12", "0 0 0 0 0 4 1 0 0 0 0 0 0 1", 3.9),
    _vector("T13", "0 0 0 0 0 4 1 0 0 0 0 0 1 0", 4.4),
    _vector("T14", "1 0 0 0 0 0 1 0 0 0 0 0 0 0", -3.0),
    _vector("T15", "0 2 0 0 3 3 1 0 2 1 1 0 0 0", 4.6),
)

V1 = (
    _vector("T01", "2 0 0 0 0 0 0 0", -10.0),
    _vector("T02", "0 0 0 0 0 0 0 0", 0.0),
    _vector("T03", "0 0 0 2 3 0 0 0", 12.0),
    _vector("T04", "0 0 3 2 0 0 4 0", 18.5),
    _vector("T05", "0 0 0 0 0 5 0 0", -20.0),
    _vector("T06", "0 0 0 0 0 10 0 1", -60.0),
    _vector("T07", "0 0 0 0 0 0 0 1", -20.0),
    _vector("T08", "0 0 0 0 0 0 0 0", 0.0),
    _vector("T09", "0 0 0 1 0 0 0 0", 3.0),
    _vector("T10", "0 0 0 0 0 0 0 0", 0.0),
    _vector("T11", "0 0 0 0 0 0 0 0", 0.0),
    _vector("T12", "0 0 0 0 0 0 0 0", 0.0),
    _vector("T13", "0 0 0 5 0 0 1 0", 17.0),
    _vector("T14", "2 0 1 0 0 0 0 0", -8.5),
    _vector("T15", "0 1 1 0 0 0 0 0", -1.5),
    _vector("T16", "0 0 0 0 5 0 1 0", 12.0),
    _vector("T18", "0 0 0 0 0 0 0 1", -20.0),
    _vector("T20", "0 0 0 2 0 0 0 0", 6.0),
)

V1_GO = (
    *(vector for vector in V1 if vector.text not in ("T16", "T18", "T20")),
    _vector("T16", "1 0 1 0 0 0 1 0", -1.5),
    _vector("T18", "0 0 0 0 0 10 0 1", -60.0),
    _vector("T20", "0 0 0 3 0 0 0 0", 9.0),
)

"""Which of several answers is kept: the best of every group, in whatever order they come."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from lemfarm.curation.duplicates import Contender, Twin, keep_best, reason_of, spread, twin_in
from lemfarm.curation.signatures import TextSignature, bands

SLOTS = 128


def contender(name: str, text: str | int, value: float = 0.0, *, other_slots: int = 0, **said: object) -> Contender:
    """`text` is what the answer says; so many of the slots of its MinHash say something else."""
    own = [hash_of(text, slot) for slot in range(SLOTS - other_slots)]
    other = [hash_of(f"{name} of {text}", slot) for slot in range(other_slots)]
    minhash = b"".join(number.to_bytes(4, "little") for number in [*own, *other])
    exact = f"{text}/{other_slots and name}"
    fields: dict[str, object] = {"phase_id": 1, "position": 0, "threshold": 0.7, "text_id": 1} | said
    return Contender(name=name, signature=TextSignature(exact, minhash), value=value, **fields)  # type: ignore[arg-type]


def hash_of(text: str | int, slot: int) -> int:
    return sum(map(ord, str(text))) * 1000 + slot


def test_the_best_scored_is_kept_and_the_others_name_it() -> None:
    twins = keep_best([contender("a", 7, 20.0), contender("b", 7, 25.0), contender("c", 7, 22.0), contender("d", 8)])
    assert twins == {"a": Twin("b", 1.0), "c": Twin("b", 1.0)}


def test_at_the_same_score_the_first_by_sample_index_is_kept_then_by_name_and_own_before_external() -> None:
    index = [contender("a", 7, position=3), contender("b", 7, position=1)]
    assert keep_best(index) == {"a": Twin("b", 1.0)}
    assert keep_best([contender("b", 7), contender("a", 7)]) == {"b": Twin("a", 1.0)}
    assert keep_best([contender("external answer 1", 7, text_id=None), contender("x", 7)]).keys() == {
        "external answer 1"
    }


def test_what_was_trained_on_stays_whatever_comes() -> None:
    twins = keep_best([contender("trained", 7, 1.0, fixed=True), contender("better", 7, 9.0)])
    assert twins == {"better": Twin("trained", 1.0)}


def test_two_that_were_trained_on_both_stay() -> None:
    assert keep_best([contender("a", 7, fixed=True), contender("b", 7, fixed=True)]) == {}


def test_the_threshold_is_that_of_the_phase_that_rejects() -> None:
    best = contender("best", 7, 9.0)
    strict, lenient = (contender("near", 7, 1.0, other_slots=26, threshold=bound) for bound in (0.75, 0.85))
    assert keep_best([best, strict]).keys() == {"near"}
    assert keep_best([best, lenient]) == {}


def test_what_resembles_a_rejected_one_alone_is_kept() -> None:
    """`far` resembles `middle` only, which is out because it resembles `best`."""
    best = contender("best", 7, 9.0)
    middle = replace(best, name="middle", value=5.0, signature=mixed(7, 8, 20))
    far = replace(best, name="far", value=1.0, signature=mixed(7, 8, 45))
    assert keep_best([far, middle, best]).keys() == {"middle"}


def test_the_reason_names_the_twin_and_is_read_back() -> None:
    twin = Twin("a3f0", 0.9321)
    assert twin.reason == "duplicate of a3f0 (similarity 0.93)"
    assert twin_in(twin.reason) == Twin("a3f0", 0.93)
    assert twin_in(Twin("external answer 12", 1.0).reason) == Twin("external answer 12", 1.0)
    assert twin_in("truncated") is None


def mixed(one: int, other: int, of_other: int) -> TextSignature:
    """A text between two others."""
    numbers = [hash_of(one if slot >= of_other else other, slot) for slot in range(SLOTS)]
    return TextSignature(f"{one}/{other}/{of_other}", b"".join(number.to_bytes(4, "little") for number in numbers))


# ---- one at a time


class Shelf:
    """Answers as a database holds them, each with the reason that its verdict has now."""

    def __init__(self) -> None:
        self.held: dict[str, Contender] = {}

    def around(self, one: Contender) -> list[Contender]:
        ours = set(bands(one.signature))
        return [other for other in self.held.values() if ours & set(bands(other.signature))]

    def come(self, one: Contender) -> None:
        self.held[one.name] = one
        self._write(spread([one], self._touched(one), self.around))

    def go(self, name: str) -> None:
        gone = self.held.pop(name)
        self._write(spread([], self._touched(gone), self.around))

    def _touched(self, one: Contender) -> list[Contender]:
        return [other for other in self.around(one) if other.resembles(one.signature)]

    def _write(self, found: list[tuple[Contender, Twin | None]]) -> None:
        for one, twin in found:
            self.held[one.name] = replace(one, standing=reason_of(twin))

    @property
    def reasons(self) -> dict[str, str]:
        return {name: one.standing for name, one in self.held.items() if one.standing}


def at_once(answers: list[Contender]) -> dict[str, str]:
    return {name: twin.reason for name, twin in keep_best(answers).items()}


ANSWERS = st.lists(
    st.tuples(st.sampled_from([7, 8]), st.sampled_from([0, 10, 20, 30, 40, 64]), st.integers(0, 3)), max_size=9
)
"""Texts between two poles, whose neighbours resemble each other and whose ends do not, with scores that often tie."""


def answers_of(drawn: list[tuple[int, int, int]]) -> list[Contender]:
    return [
        replace(contender(f"s{number}", 7, float(value)), signature=mixed(pole, 15 - pole, of_other), position=number)
        for number, (pole, of_other, value) in enumerate(drawn)
    ]


@settings(max_examples=150, deadline=None)
@given(drawn=ANSWERS, data=st.data())
def test_in_any_order_the_same_answers_are_kept_with_the_same_reasons(
    drawn: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    answers = answers_of(drawn)
    shelf = Shelf()
    for one in data.draw(st.permutations(answers)):
        shelf.come(one)
    assert shelf.reasons == at_once(answers)


@settings(max_examples=150, deadline=None)
@given(drawn=ANSWERS, data=st.data())
def test_when_one_goes_what_it_had_put_out_comes_back(drawn: list[tuple[int, int, int]], data: st.DataObject) -> None:
    answers = answers_of(drawn)
    shelf = Shelf()
    for one in answers:
        shelf.come(one)
    for name in data.draw(st.permutations([one.name for one in answers])):
        shelf.go(name)
        assert shelf.reasons == at_once([one for one in answers if one.name in shelf.held])


@settings(max_examples=100, deadline=None)
@given(drawn=ANSWERS)
def test_of_every_group_one_is_kept_and_no_two_kept_ones_are_duplicates(drawn: list[tuple[int, int, int]]) -> None:
    answers = answers_of(drawn)
    twins = keep_best(answers)
    kept = [one for one in answers if one.name not in twins]
    assert keep_best(kept) == {}
    assert {twin.name for twin in twins.values()} <= {one.name for one in kept}
    best = min(answers, key=lambda one: one.rank, default=None)
    assert best is None or best in kept

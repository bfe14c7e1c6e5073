"""How many rows come from elsewhere: the share beside the own rows, the caps, and what is said when too few passed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from lemfarm.config import ExternalConfig, QuotaConfig
from lemfarm.external_mix import Mix, outlook, within_caps

COUNTS = st.dictionaries(st.sampled_from(["P0", "P1", "P2"]), st.integers(0, 20))


def test_the_stated_share_is_one_of_all_rows() -> None:
    assert ExternalConfig(share=0.3).beside(700) == 300
    assert ExternalConfig(share=0.5).beside(7) == 7
    assert ExternalConfig().beside(700) == 0


def test_a_side_that_runs_short_is_told_with_what_was_wanted_and_what_can_be_had() -> None:
    mix = Mix(share=0.3, own=547, external=120, wanted=234, passed=120)
    assert mix.is_short
    assert mix.text == "wanted 70/30, reachable 82/18: 120 external answers passed, 234 are needed"


def test_answers_that_find_no_room_under_the_cap_are_told_apart_from_those_that_failed() -> None:
    mix = Mix(share=0.3, own=7, external=2, wanted=3, passed=9)
    assert mix.text == (
        "wanted 70/30, reachable 78/22: 9 external answers passed, 2 of them beside the own ones of their probe, "
        "3 are needed"
    )


def test_a_mix_that_is_reached_says_only_what_it_is() -> None:
    assert Mix(0.3, 700, 300, 300, 512).text == "70/30: 700 own rows and 300 external ones"
    assert Mix(0.3, 0, 0, 0, 0).text == "100/0: 0 own rows and 0 external ones"


def test_one_row_of_thousands_does_not_read_as_none() -> None:
    assert Mix(0.3, 5000, 1, 2143, 1).text.startswith("wanted 70/30, reachable 99/1: 1 external answer passed, 2,143")


@settings(max_examples=60)
@given(COUNTS, COUNTS, st.none() | st.integers(1, 25), st.integers(0, 30))
def test_no_probe_has_more_rows_than_its_cap_and_the_room_is_used(
    own: dict[str, int], passed: dict[str, int], cap: int | None, wanted: int
) -> None:
    probes = [probe for probe, count in passed.items() for _ in range(count)]
    places = within_caps(probes, own, cap, wanted)
    taken = [probes[place] for place in places]
    room = {
        probe: count if cap is None else max(0, min(count, cap - own.get(probe, 0))) for probe, count in passed.items()
    }
    assert len(set(places)) == len(places) == min(wanted, sum(room.values()))
    assert all(taken.count(probe) <= room[probe] for probe in taken)


def test_before_any_own_answer_is_in_the_outlook_is_that_of_a_full_quota() -> None:
    external, quota = ExternalConfig(share=0.5), QuotaConfig(accepted=10, at_most_per_probe=4)
    mix = outlook(external, quota, {}, {"P0": 9, "P1": 1})
    assert (mix.own, mix.wanted, mix.external, mix.passed) == (10, 10, 5, 10)
    assert outlook(external, quota, {"P0": 3}, {"P0": 9, "P1": 1}).external == 2

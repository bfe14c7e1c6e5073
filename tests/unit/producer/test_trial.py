"""`lemfarm try`: what is tried is a part of the run, in a farm of its own, and the projection is for the whole run."""

import pytest

from lemfarm.config import config_data
from producer.course import Course
from producer.plan import apply_plan
from producer.trial import open_trial
from tests.ground import MODEL, RUN_FILE, SHORT_ANSWER, Ground

EVALUATE = "evaluate: {probes: probes.jsonl, held_out: 0.34, conditions: {bare: null}}\n"
TRAIN = "    train: {iterations: 5, learning_rate: 1e-4}\ntrain: {rank: 4}\n"


def test_a_trial_is_a_small_part_of_the_run(ground: Ground) -> None:
    full = ground.config(RUN_FILE + TRAIN + EVALUATE)
    with open_trial(full, probes=2, samples=3) as trial:
        course = Course(trial.config, MODEL)
        assert trial.config.run == "try-tiny"
        assert course.grid(trial.config.phases[0]) == 2 * 2 * 3
        assert (trial.config.evaluate, trial.config.phases[0].train) == (None, None)
        assert not trial.config.phases[0].quota.stop_when_full, "all of it is made"
        assert trial.config.phases[0].gates == full.phases[0].gates
        assert trial.config.sampling == full.sampling
        texts = {v.messages[0].content for p in course.phase_probes["first"] for v in p.variants}
        assert texts <= {v.messages[0].content for p in Course(full, MODEL).phase_probes["first"] for v in p.variants}


def test_more_probes_than_there_are_is_all_of_them(ground: Ground) -> None:
    with open_trial(ground.config(), probes=50, samples=1) as trial:
        assert Course(trial.config, MODEL).grid(trial.config.phases[0]) == 6


def test_it_leaves_the_farm_and_the_disk_as_they_were(ground: Ground) -> None:
    before = config_data(ground.config())
    with open_trial(ground.config(), probes=2, samples=1) as trial:
        place = trial.home.root
        assert place != ground.home.root
        place.mkdir(parents=True)
    assert not place.parent.exists()
    assert config_data(ground.config()) == before


def test_the_projection_is_for_the_whole_quota(ground: Ground) -> None:
    # Given a trial of 12 samples, half of them accepted, that took 24 seconds
    full = ground.config(phases__0__samples=20, phases__0__quota__at_most_per_probe=None)
    with open_trial(full, probes=3, samples=2) as trial:
        apply_plan(ground.database, Course(trial.config, MODEL), found=None, limit=None, trains=False)
        ids = ground.ids()
        ground.finish(ids[:6])
        ground.finish(ids[6:], SHORT_ANSWER)
        ground.execute("UPDATE attempt SET started = 1000.0, ended = 1024.0")
        found = trial.measure(ground.database)
    # Then ten accepted need twenty samples, of two seconds each
    (phase,) = found.phases
    assert (phase.done, phase.accepted, phase.pass_rate, phase.mean_tokens) == (12, 6, 0.5, 2.0)
    assert phase.generations == pytest.approx(20.0)
    assert phase.seconds == pytest.approx(40.0)
    assert (found.seconds, found.samples_per_minute) == (24.0, 30.0)
    assert found.tokens_per_second == 1.0


def test_what_nothing_passes_has_no_projection(ground: Ground) -> None:
    with open_trial(ground.config(), probes=3, samples=1) as trial:
        apply_plan(ground.database, Course(trial.config, MODEL), found=None, limit=None, trains=False)
        ground.finish(ground.ids(), SHORT_ANSWER)
        (phase,) = trial.measure(ground.database).phases
    assert (phase.accepted, phase.generations, phase.seconds) == (0, None, None)


def test_a_trial_of_which_nothing_was_done(ground: Ground) -> None:
    with open_trial(ground.config(), probes=3, samples=1) as trial:
        apply_plan(ground.database, Course(trial.config, MODEL), found=None, limit=None, trains=False)
        found = trial.measure(ground.database)
    assert (found.seconds, found.tokens_per_second, found.phases[0].done) == (0.0, 0.0, 0)

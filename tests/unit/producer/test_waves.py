"""Which samples become messages, in which order, how many at once, and what happens when messages are lost."""

from itertools import pairwise

from lemfarm.broker import generate_queue
from tests.ground import MODEL, RUN_FILE, Ground

WHOLE = RUN_FILE.replace("enough: 4", "enough: 4, stop_when_full: false")


def test_what_is_sent_is_noted_and_not_sent_again(ground: Ground) -> None:
    ground.plan()
    sent = ground.look()
    assert sent
    assert set(ground.ids("wave IS NOT NULL")) == set(sent)
    assert not set(ground.look()) & set(sent)


def test_a_message_reads_like_the_sample_it_asks_for(ground: Ground) -> None:
    ground.plan()
    ground.look()
    assert "P0 v0 #0" in ground.queue.labels
    assert {message.queue for message in ground.queue.messages} == {generate_queue(MODEL)}


def test_no_more_is_sent_than_could_be_needed_if_all_passed_and_likely_will(ground: Ground) -> None:
    """Ten accepted are wanted and a third passes: the whole small grid is likely to be needed."""
    ground.plan()
    assert len(ground.look()) == 24
    ground.plan(phases__0__quota__accepted=4)
    ground.execute("UPDATE sample SET wave = NULL")
    few = ground.look(phases__0__quota__accepted=4)
    assert 4 <= len(few) < 24


def test_the_lowest_indices_of_a_text_go_first(ground: Ground) -> None:
    more = {"phases__0__quota__accepted": 4, "phases__0__samples": 20}
    ground.plan(**more)
    sent = ground.look(**more)
    left = ground.ids("wave IS NULL")
    top = {row["variant_id"]: row["top"] for row in _by_variant(ground, sent, "max")}
    bottom = {row["variant_id"]: row["top"] for row in _by_variant(ground, left, "min")}
    shared = top.keys() & bottom.keys()
    assert shared and all(top[variant] < bottom[variant] for variant in shared)


def test_probes_take_turns(ground: Ground) -> None:
    ground.plan(phases__0__quota__accepted=6)
    ground.look(phases__0__quota__accepted=6)
    probes = [label.split()[0] for label in ground.queue.labels]
    assert set(probes[:12]) == {"P0", "P1", "P2"}


def test_a_probe_at_its_cap_gets_nothing(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids("probe.name = 'P1'")[:5])
    ground.look()
    assert "P1" not in {label.split()[0] for label in ground.queue.labels}
    assert ground.value("SELECT count(*) FROM sample WHERE state = 'skipped'") == 3


def test_the_queue_is_kept_as_deep_as_the_slots_need(ground: Ground) -> None:
    # Given a grid that is larger than the smallest depth, of which everything is wanted
    text = WHOLE.replace("samples: 4", "samples: 50").replace("at_most_per_probe: 5, ", "")
    ground.plan(text)
    assert ground.balance().pending == 300
    assert len(ground.look()) == 64
    assert ground.look() == []
    # When workers with many slots are there, then it is deeper
    ground.execute(f"UPDATE worker SET slots = 40, state = 'ready', last_seen = {ground.database.now}")
    assert len(ground.look()) == 160 - 64
    # When a worker was not seen for long, it does not count
    ground.execute("UPDATE worker SET last_seen = 1000.0")
    assert ground.look() == []


def test_the_whole_grid_is_made_evenly_where_the_quota_does_not_stop_it(ground: Ground) -> None:
    ground.plan(WHOLE)
    ground.finish(ground.ids(limit=12))
    assert len(ground.look()) == 12, "the quota of ten is full, and all samples are wanted"
    assert ground.balance().skipped == 0
    assert ground.phase_states() == {"first": "open"}
    ground.finish(ground.queue.ids)
    ground.look()
    ground.look()
    assert (ground.phase_states(), ground.state) == ({"first": "full"}, "done")
    assert ground.balance().done == 24


def test_the_whole_grid_is_sent_in_short_runs_of_one_wording(ground: Ground) -> None:
    ground.plan(WHOLE.replace("samples: 4", "samples: 40"))
    ground.look()
    wordings = [" ".join(label.split()[:2]) for label in ground.queue.labels]
    changes = sum(one != other for one, other in pairwise(wordings))
    assert len(wordings) == 64
    assert changes < len(wordings) / 4


def test_a_retry_waits_for_its_time(ground: Ground) -> None:
    ground.plan()
    first = ground.ids(limit=1)[0]
    claim = ground.claim(first)
    ground.ledger.fail(first, claim.epoch, "engine", "once", retryable=True, retries=3)
    assert first not in ground.look()
    ground.execute("UPDATE sample SET not_before = 0")
    assert first in ground.look()


def test_two_wordings_at_one_place_of_a_probe_are_both_sent(ground: Ground) -> None:
    """The places of wordings belong to the probe, not to the run: another run's file may have moved one."""
    ground.plan()
    ground.execute("UPDATE variant SET position = 0")
    assert len(ground.look()) == 24


def test_superseded_samples_are_never_sent(ground: Ground) -> None:
    ground.plan()
    old = set(ground.ids())
    ground.plan(sampling__temperature=0.1)
    assert old.isdisjoint(ground.look(sampling__temperature=0.1))


def test_lost_messages_are_sent_again_after_two_empty_looks(ground: Ground) -> None:
    # Given messages that were sent, and a queue that is empty
    ground.plan()
    sent = ground.look()
    ground.queue.length = 0
    # When it is looked at once, it may have been between two messages
    ground.waves.recall_lost(ground.run)
    assert ground.look() == []
    # When it is empty a second time, then they are lost
    ground.waves.recall_lost(ground.run)
    assert set(ground.look()) == set(sent)


def test_a_queue_that_holds_messages_starts_the_count_anew(ground: Ground) -> None:
    ground.plan()
    ground.look()
    for length in (0, 5, 0):
        ground.queue.length = length
        ground.waves.recall_lost(ground.run)
    assert ground.ids("wave IS NULL") == []
    ground.waves.recall_lost(ground.run)
    assert len(ground.ids("wave IS NULL")) == 24


def test_an_empty_queue_is_no_loss_while_workers_hold_what_was_sent(ground: Ground) -> None:
    ground.plan()
    for sample in ground.look():
        ground.claim(sample)
    for _ in range(3):
        ground.waves.recall_lost(ground.run)
    assert ground.look() == []


def _by_variant(ground: Ground, samples: list[str], function: str) -> list[dict[str, object]]:
    wanted = ", ".join(f"'{sample}'" for sample in samples)
    sql = f"SELECT variant_id, {function}(sample_index) AS top FROM sample WHERE id IN ({wanted}) GROUP BY 1"
    return [dict(row) for row in ground.rows(sql)]

"""Which claims a process holds, and how it learns that it lost one."""

from workers.leases import Leases


def test_what_the_database_no_longer_grants_is_lost() -> None:
    leases = Leases()
    leases.hold("kept", 1)
    leases.hold("taken", 4)
    assert leases.renewed(leases.snapshot(), {"kept": 1}) == ["taken"]
    assert leases.is_lost("taken")
    assert not leases.is_lost("kept")


def test_a_later_epoch_of_the_same_sample_is_somebody_elses() -> None:
    leases = Leases()
    leases.hold("sample", 4)
    assert leases.renewed(leases.snapshot(), {"sample": 5}) == ["sample"]


def test_a_claim_made_while_the_renewal_was_under_way_is_not_lost() -> None:
    leases = Leases()
    leases.hold("early", 1)
    asked = leases.snapshot()
    leases.hold("late", 1)
    assert leases.renewed(asked, {"early": 1}) == []
    assert not leases.is_lost("late")


def test_one_that_ended_meanwhile_is_not_lost() -> None:
    leases = Leases()
    leases.hold("sample", 1)
    asked = leases.snapshot()
    leases.drop("sample")
    assert leases.renewed(asked, {}) == []


def test_a_new_claim_of_a_lost_sample_is_a_fresh_start() -> None:
    leases = Leases()
    leases.hold("sample", 1)
    leases.renewed(leases.snapshot(), {})
    leases.hold("sample", 2)
    assert not leases.is_lost("sample")
    assert len(leases) == 1

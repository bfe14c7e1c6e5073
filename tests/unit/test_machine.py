"""Facts about this computer, and about a Mac that answers from a table."""

import sys
from collections.abc import Sequence
from pathlib import Path

from lemfarm.machine import Ask, ask, boot_id, chip, free_disk, machine_facts, memory


def answers(table: dict[str, str]) -> Ask:
    """A machine whose programs say what the table says, and nothing else."""

    def answer(command: Sequence[str]) -> str | None:
        return table.get(" ".join(command))

    return answer


def test_this_machine_has_facts() -> None:
    facts = machine_facts()
    assert facts.cores >= 1
    assert 0 < facts.memory_free <= facts.memory
    assert facts.boot_id
    assert facts.chip


def test_a_mac_is_asked_for_its_chip_and_boot_session() -> None:
    mac = answers(
        {
            "sysctl -n machdep.cpu.brand_string": "Apple M3 Ultra",
            "sysctl -n kern.bootsessionuuid": "6E7B2C14-AAAA-4BBB-8CCC-1234567890AB",
        }
    )
    facts = machine_facts(system="Darwin", ask=mac)
    assert (facts.system, facts.chip) == ("macOS", "Apple M3 Ultra")
    assert facts.boot_id == "6e7b2c14-aaaa-4bbb-8ccc-1234567890ab"


def test_a_mac_that_answers_nothing_is_not_a_crash() -> None:
    facts = machine_facts(system="Darwin", ask=answers({}))
    assert facts.boot_id.startswith("booted-")
    assert facts.chip


def test_the_boot_id_stays_while_the_machine_runs(tmp_path: Path) -> None:
    assert boot_id() == boot_id()
    (tmp_path / "boot_id").write_text("abc\n")
    assert boot_id(system="Linux", linux_file=tmp_path / "boot_id") == "abc"
    assert boot_id(system="Linux", linux_file=tmp_path / "missing").startswith("booted-")


def test_linux_names_its_processor(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some Processor 5\nmodel name\t: Another\n")
    assert chip(system="Linux", linux_file=tmp_path / "cpuinfo") == "Some Processor 5"
    assert chip(system="Linux", linux_file=tmp_path / "missing")


def test_a_containers_limit_counts_where_it_is_lower(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    whole = memory(limit_file=tmp_path / "missing")[0]
    limit.write_text("1048576\n")
    assert memory(limit_file=limit) == (1048576, 1048576)
    for other in ("max\n", f"{whole * 2}\n"):
        limit.write_text(other)
        assert memory(limit_file=limit)[0] == whole


def test_free_disk_looks_at_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    assert free_disk(tmp_path / "not" / "yet" / "there") > 0


def test_a_program_that_is_missing_or_fails_answers_nothing() -> None:
    assert ask(["lemfarm-no-such-program"]) is None
    assert ask([sys.executable, "-c", "print('no'); raise SystemExit(3)"]) is None
    assert ask([sys.executable, "-c", "pass"]) is None
    assert ask([sys.executable, "-c", "print(' yes ')"]) == "yes"

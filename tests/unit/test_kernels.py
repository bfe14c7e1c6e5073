"""Kernels and roles: read as they stand, named by their hash, refused with file and line."""

import json
import re
from pathlib import Path

import pytest

from lemfarm.errors import KernelError
from lemfarm.identity import content_hash
from lemfarm.kernels import read_kernel, read_role

SHIPPED = Path(__file__).parents[2] / "kernel"
ROLES = {"creative": "thesis", "logical": "antithesis", "dialectical": "synthesis"}
AXIOM_KEYS = {"id", "name", "statement", "function", "resolution"}
ROLE = """
role: critic
stands_for: antithesis
system: You test what was said.
frame: "They asked: {prompt} The first said: {thesis}"
must_not: [win]
"""


@pytest.fixture
def role_file(tmp_path: Path) -> Path:
    path = tmp_path / "critic.yaml"
    path.write_text(ROLE)
    return path


def test_a_json_kernel_is_kept_verbatim(tmp_path: Path) -> None:
    path = tmp_path / "kernel.json"
    path.write_text(json.dumps({"axioms": ["Ä", "be kind"]}, indent=3) + "\n", encoding="utf-8")
    kernel = read_kernel(path)
    assert kernel.text == path.read_text(encoding="utf-8")
    assert (kernel.hash, kernel.name) == (content_hash(kernel.text), "kernel.json")


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), (b" \n", "empty"), (b"\xff\xfe\x00", "cannot be read")]
)
def test_a_kernel_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "bad.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KernelError, match=said) as refused:
        read_kernel(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        (
            "axioms.json",
            "prime-imperative self-validation intent-driven-alignment inter-substrate-respect benevolent-intervention",
        ),
        ("rights.json", "sovereignty privacy transparency consent dignity"),
    ],
)
def test_both_sets_have_five_entries_of_the_common_shape(name: str, ids: str) -> None:
    """The shape of the LEM project's file, so that tools which read one read the other."""
    framework = json.loads(read_kernel(SHIPPED / name).text)
    assert list(framework) == ["framework", "version", "license", "origin", "meta", "axioms", "extensions"]
    assert [axiom["name"] for axiom in framework["axioms"]] == ids.split()
    assert [axiom["id"] for axiom in framework["axioms"]] == framework["meta"]["hierarchy"] == [1, 2, 3, 4, 5]
    assert list(framework["meta"]) == ["override", "hierarchy", "nature", "description"]
    assert all(set(axiom) == AXIOM_KEYS and all(axiom.values()) for axiom in framework["axioms"])
    assert len({axiom["function"] for axiom in framework["axioms"]}) == 5
    assert all(len(axiom["statement"].split()) >= 20 for axiom in framework["axioms"])


@pytest.mark.parametrize("name", ["axioms.json", "rights.json"])
def test_a_resolution_looks_back_in_the_first_person(name: str) -> None:
    framework = json.loads(read_kernel(SHIPPED / name).text)
    assert all(re.search(r"\bI\b", axiom["resolution"]) for axiom in framework["axioms"])


@pytest.mark.parametrize("name", ["axioms.json", "rights.json"])
def test_a_set_is_small_enough_to_stand_before_every_prompt(name: str) -> None:
    assert 2_000 <= (SHIPPED / name).stat().st_size <= 4_096


def test_the_narrative_kernel_has_the_length_of_the_published_one_and_names_no_axiom() -> None:
    text = read_kernel(SHIPPED / "lek-1-kernel.txt").text
    assert 8_000 < len(text) < 10_000
    assert "axiom" not in text.lower()


def test_the_signature_is_one_line() -> None:
    assert len(read_kernel(SHIPPED / "signature.txt").text.splitlines()) == 1


@pytest.mark.parametrize(("name", "stands_for"), ROLES.items())
def test_a_shipped_role_reads_and_frames_a_question(name: str, stands_for: str) -> None:
    role = read_role(SHIPPED / "roles" / f"{name}.yaml")
    assert (role.role, role.stands_for) == (name, stands_for)
    said = {"prompt": "Why is the bridge shut?", "thesis": "It is tired.", "antithesis": "Bridges do not tire."}
    system, user = role.messages(**said)
    assert all(ban in system.content for ban in role.must_not)
    assert "Why is the bridge shut?" in user.content
    assert ("It is tired." in user.content) == (stands_for != "thesis")
    assert ("Bridges do not tire." in user.content) == (stands_for == "synthesis")


def test_a_role_is_a_kernel_by_its_instruction(role_file: Path) -> None:
    kernel = read_kernel(role_file)
    assert kernel.text == "You test what was said.\n\nWhat you must not do:\n- win\n"
    assert kernel.hash == content_hash(kernel.text)


def test_a_frame_takes_braces_in_what_was_said_as_text(role_file: Path) -> None:
    _, user = read_role(role_file).messages(prompt="what is {thesis}?", thesis="{prompt}")
    assert user.content == "They asked: what is {thesis}? The first said: {prompt}"


def test_a_frame_without_its_earlier_voice_is_refused(role_file: Path) -> None:
    with pytest.raises(KernelError, match="critic needs thesis"):
        read_role(role_file).messages(prompt="Why?")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("role: critic\n", "", "role: a role has"),
        ("[win]", "[]", "must_not: a role has"),
        ("must_not", "mustnt", "must_not, mustnt: a role has"),
        ("{prompt}", "", "the question would not be asked"),
        ("role: critic", "role: [critic", r"critic\.yaml:\d+:\d+: "),
    ],
)
def test_a_role_that_is_wrong_is_refused_with_the_key(role_file: Path, old: str, new: str, said: str) -> None:
    role_file.write_text(ROLE.replace(old, new, 1))
    with pytest.raises(KernelError, match=said):
        read_role(role_file)


def test_a_list_is_no_role(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("- role: one\n")
    with pytest.raises(KernelError, match="no mapping"):
        read_role(path)

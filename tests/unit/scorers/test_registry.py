"""Scorers by name: ours, plug-ins, and names that nobody knows."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from types import SimpleNamespace

import pytest

import lemfarm.scorers as registry
from lemfarm.errors import InputError
from lemfarm.scorers import Score, get_scorer, scorer_names


class Kindness:
    """A plug-in scorer as another package would write it."""

    name = "kindness"
    version = "7"

    def score(self, prompt: str, answer: str) -> Score:
        return Score(float(answer.count("kind")), {"kind": answer.count("kind")})


class Broken:
    def __init__(self) -> None:
        raise RuntimeError("no model at hand")


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Given three installed plug-ins, one of which claims a name of ours."""
    targets = {"kindness": "Kindness", "misnamed": "Kindness", "broken": "Broken", "v2": "Kindness"}
    points = EntryPoints(
        EntryPoint(name, f"{__name__}:{target}", registry.ENTRY_POINT_GROUP) for name, target in targets.items()
    )
    monkeypatch.setattr(registry, "entry_points", lambda group: points.select(group=group))
    monkeypatch.setitem(sys.modules, __name__, SimpleNamespace(Kindness=Kindness, Broken=Broken))
    get_scorer.cache_clear()
    yield
    get_scorer.cache_clear()


@pytest.mark.parametrize("name", ["v2", "v2-distill"])
def test_a_scorer_carries_the_name_it_is_registered_under_and_a_version(name: str) -> None:
    assert name in scorer_names()
    assert get_scorer(name).name == name
    assert get_scorer(name).version


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'v3'.*v2, v2-distill"):
        get_scorer("v3")


def test_the_same_scorer_is_handed_out_again() -> None:
    assert get_scorer("v2") is get_scorer("v2")


@pytest.mark.usefixtures("plugins")
def test_a_plugin_is_listed_and_scores() -> None:
    assert "kindness" in scorer_names()
    assert get_scorer("kindness").score("", "kind and kinder").value == 2.0


@pytest.mark.usefixtures("plugins")
def test_a_plugin_cannot_take_one_of_our_names() -> None:
    assert scorer_names().count("v2") == 1
    assert not isinstance(get_scorer("v2"), Kindness)


@pytest.mark.usefixtures("plugins")
def test_a_plugin_that_does_not_load_is_named_with_the_reason() -> None:
    with pytest.raises(InputError, match=r"'broken'.*no model at hand"):
        get_scorer("broken")


@pytest.mark.usefixtures("plugins")
def test_a_plugin_under_a_second_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"'misnamed'.*calls itself 'kindness'"):
        get_scorer("misnamed")


def test_listing_the_names_imports_neither_numpy_nor_a_scorer() -> None:
    program = (
        "import sys; from lemfarm.scorers import scorer_names; scorer_names(); "
        "print([name for name in ('numpy', 'lemfarm.scorers.v2', 'lemfarm.scorers.v2_distill') if name in sys.modules])"
    )

    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "[]"

"""What is told of the processes of a farm at work."""

import pytest

from lemfarm.cli.campaign import tell_event
from lemfarm.supervisor import Event


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Event("worker-1", "died", -9), "worker-1 died with code -9; starting it again"),
        (Event("worker-1", "restarted"), "worker-1 is back"),
        (Event("valkey", "ended", 0), "valkey ended with code 0"),
        (Event("valkey", "not started", text="[no] program"), "valkey [no] program"),
    ],
)
def test_an_event_is_told_on_stderr_in_words(event: Event, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    tell_event(event)
    assert capsys.readouterr() == ("", f"{said}\n")

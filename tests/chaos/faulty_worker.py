"""A worker that dies at a chosen write: `LEMFARM_FAULT=store:3` ends it at once after its third stored result.

claim   the claim is committed, the worker does not know it yet
made    the text is complete, nothing of it is written
spool   the result is on the local disk, not in the database
store   it is in the database and still in the spool
ack     it is out of the spool, the message is not acknowledged
"""

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from lemfarm.ledger import Ledger
from workers import process
from workers.sample import SampleRunner
from workers.spool import Spool

FAULT_VARIABLE = "LEMFARM_FAULT"
FAULT_CODE = 99
PLACES: dict[str, tuple[type, str, bool]] = {
    "claim": (Ledger, "claim", True),
    "made": (Spool, "write", False),
    "spool": (Spool, "write", True),
    "store": (Ledger, "record", True),
    "ack": (SampleRunner, "run", True),
}
"""Which call dies, and whether after it."""


def plant(fault: str) -> None:
    """Let this process die at the n-th call of that place that does something."""
    place, _, number = fault.partition(":")
    owner, name, afterwards = PLACES[place]
    original: Callable[..., Any] = getattr(owner, name)
    left, lock = [int(number)], threading.Lock()

    def is_last() -> bool:
        with lock:
            left[0] -= 1
            return left[0] == 0

    def dying(*arguments: Any, **named: Any) -> Any:
        if not afterwards and is_last():
            os._exit(FAULT_CODE)
        result = original(*arguments, **named)
        if afterwards and result not in (None, "nothing to do", "in hand already") and is_last():
            os._exit(FAULT_CODE)
        return result

    setattr(owner, name, dying)


if __name__ == "__main__":
    plant(os.environ[FAULT_VARIABLE])
    sys.exit(process.main())

"""A worker whose plug is a file: `LEMFARM_PLUG` names it, it holds `mains` or `battery`. It looks every 0.2 seconds."""

import os
from functools import partial
from pathlib import Path
from typing import cast

from lemfarm.host.power import PowerState, Source
from workers import process, rest


def read_plug() -> PowerState:
    """How the machine is supplied, as the test says."""
    return PowerState(cast(Source, Path(os.environ["LEMFARM_PLUG"]).read_text()), 63)


if __name__ == "__main__":
    rest.LOOK_SECONDS = 0.2
    process.Watch = partial(rest.Watch, read_power=read_plug)  # type: ignore[misc, assignment]
    raise SystemExit(process.main())

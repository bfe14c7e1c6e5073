"""What verbs that send something to the hub say before it, and instead of it."""

import sys
from typing import TYPE_CHECKING

from lemfarm.cli.shared import bare_table, counted, err, plain, size

if TYPE_CHECKING:
    from lemfarm.hub import Parcel


def send(parcel: "Parcel", *, private: bool) -> str:
    """Send it and return its address; the hub's library draws bars of large files on a terminal, elsewhere nothing.
    Raises what `lemfarm.hub.upload` raises."""
    from huggingface_hub.utils import disable_progress_bars

    from lemfarm.hub import upload

    if not sys.stderr.isatty():
        disable_progress_bars()
    sizes = parcel.sizes
    _say(f"sending {counted(len(sizes), 'file')}, {size(sum(sizes.values()))}, to {parcel.repo}")
    return upload(parcel, private=private)


def show_parcel(parcel: "Parcel") -> None:
    """What a dry run would have sent."""
    table = bare_table("file", "size")
    for name, length in parcel.sizes.items():
        table.add_row(plain(name), size(length))
    err().print(table)
    _say(f"nothing was sent; without --dry-run this goes to {parcel.repo}")
    if not parcel.states_licence:
        _say("the page states no licence, and nothing is sent without: name it with --license")


def _say(text: str) -> None:
    err().print(text, markup=False, soft_wrap=True)

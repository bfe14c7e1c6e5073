"""`artifacts`. Twin: `lemfarm.training.artifact_server`."""

import os
from typing import Annotated

import typer

from lemfarm.cli.shared import HomeOption, out


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("artifacts")(artifacts)


def artifacts(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0: a free one.")] = 8777,
    address: Annotated[
        str, typer.Option("--address", help="Address to listen on; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    home: HomeOption = None,
) -> None:
    """Keep adapters for all machines until Ctrl-C: each worker brings what it trained, and fetches what others have.

    Plain HTTP behind a token: over a network that others share, put a tunnel or a TLS proxy before it.
    """
    from lemfarm.home import open_home
    from lemfarm.training.artifact_service import open_server

    with open_server(open_home(home), address, port) as server:
        console = out()
        console.print(f"artifact store: [bold]{server.url}[/], serves until Ctrl-C", soft_wrap=True)
        console.print(f"[dim]token in[/] {server.folder / 'secrets.json'}", soft_wrap=True)
        server.serve_forever()


def checked_token(place: str | None) -> str | None:
    """The token of a store over HTTP, once the store has answered to it; none for a folder, once it is there.

    It comes from the environment, else it is typed without an echo. Raises InputError, Unavailable.
    """
    from lemfarm.training.artifacts import NOBODY, open_store

    if place is None:
        return None
    token = _token(place) if place.startswith(("http://", "https://")) else None
    open_store(place, token).has(NOBODY)
    return token


def _token(place: str) -> str:
    from lemfarm.connections import TOKEN_VARIABLE
    from lemfarm.errors import InputError

    if os.environ.get(TOKEN_VARIABLE):
        return os.environ[TOKEN_VARIABLE]
    if not os.isatty(0):
        raise InputError(f"{place} wants a token: set {TOKEN_VARIABLE}; it stands in secrets.json on that machine.")
    return str(typer.prompt("token of the artifact store (not shown)", hide_input=True))

"""`worker install|uninstall`: a worker that macOS starts with the machine. Twin: `lemfarm.host.launchd`."""

import os
import shlex
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from lemfarm.cli.campaign import ModelOption, model_folders
from lemfarm.cli.manners import CaffeinateOption, HoursOption, OnBatteryOption, manners_of
from lemfarm.cli.shared import HomeOption, JsonOption, emit, err, out

if TYPE_CHECKING:
    from lemfarm.home import Home
    from lemfarm.host.launchd import Account, Daemon

_NOT_A_MAC = (
    "this writes a LaunchDaemon for macOS. On Linux let your service manager start `lemfarm worker`; "
    "`lemfarm worker install --print` shows what a Mac would get."
)

NameOption = Annotated[
    str | None,
    typer.Option("--name", help="Name of the worker, and part of the daemon's; for two on a Mac.", show_default=False),
]


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command("install")(install)
    app.command("uninstall")(uninstall)


def install(
    name: NameOption = None,
    slots: Annotated[
        int | None,
        typer.Option("--slots", min=1, help="Answers in the making at once.", show_default="from memory"),
    ] = None,
    model: ModelOption = None,
    run: Annotated[str | None, typer.Option("--run", help="Serve this run only.", show_default=False)] = None,
    grace: Annotated[
        float, typer.Option("--grace", min=0, help="Seconds that samples have to finish when it is asked to end.")
    ] = 20.0,
    hours: HoursOption = None,
    on_battery: OnBatteryOption = "work",
    caffeinate: CaffeinateOption = True,
    user: Annotated[
        str | None, typer.Option("--user", help="Who it runs as.", show_default="you, also with sudo")
    ] = None,
    print_: Annotated[bool, typer.Option("--print", help="Only show the file that launchd would get.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let macOS start a worker with the machine and keep it alive: a LaunchDaemon, which reaches the local network.

    Without sudo it writes the file into the home and shows the commands that install it; with sudo it runs them.
    """
    from lemfarm.errors import InputError
    from lemfarm.host.launchd import find_account, is_mac, worker_daemon

    if not (print_ or is_mac()):
        raise InputError(_NOT_A_MAC)
    account = find_account(user, os.environ, os.getuid())
    daemon = worker_daemon(
        _home_of(account, home),
        account,
        name=name,
        slots=slots,
        models=model_folders(model),
        run=run,
        grace_seconds=grace,
        manners=manners_of(hours, on_battery, caffeinate),
        environ=os.environ,
    )
    commands, installed = ([], False) if print_ else _put_in_place(daemon)
    if as_json:
        emit(
            "daemon",
            label=daemon.label,
            file=daemon.file,
            plist=daemon.plist,
            installed=installed,
            commands=commands,
            notes=daemon.notes,
        )
        return
    for note in daemon.notes:
        err().print(f"[yellow]note[/] {note}", soft_wrap=True)
    if print_:
        print(daemon.xml.decode(), end="")
    else:
        _tell(commands, f"{daemon.label} runs now and starts with this Mac; log: {daemon.log}", done=installed)


def uninstall(name: NameOption = None, as_json: JsonOption = False) -> None:
    """End the worker that macOS keeps, and remove its LaunchDaemon. The farm's data stay.

    Without sudo it shows the commands; with sudo it runs them. What the worker holds has its grace to finish.
    """
    from lemfarm.errors import InputError
    from lemfarm.host.launchd import carry_out, is_mac, label_of, uninstall_commands

    if not is_mac():
        raise InputError(_NOT_A_MAC)
    label = label_of(name)
    commands = uninstall_commands(label)
    as_root = os.geteuid() == 0
    if as_root:
        carry_out(commands)
    if as_json:
        emit("daemon", label=label, uninstalled=as_root, commands=[] if as_root else commands)
    else:
        _tell(commands, f"{label} is gone.", done=as_root)


def _home_of(account: "Account", home: Path | None) -> "Home":
    """With sudo, the default is the user's home and not root's."""
    from lemfarm.home import HOME_VARIABLE, open_home

    return open_home(home or os.environ.get(HOME_VARIABLE) or account.home / ".lemfarm")


def _put_in_place(daemon: "Daemon") -> tuple[list[list[str]], bool]:
    """As root, install it; else write a draft. Returns the commands that are left, and whether it is installed."""
    from lemfarm.home import write_whole
    from lemfarm.host.launchd import carry_out, install_commands

    if os.geteuid() == 0:
        with TemporaryDirectory() as folder:
            draft = Path(folder) / daemon.file.name
            draft.write_bytes(daemon.xml)
            carry_out(install_commands(daemon, draft))
        return [], True
    draft = daemon.home.root / "launchd" / daemon.file.name
    commands = install_commands(daemon, draft)
    daemon.home.ensure(draft.parent)
    write_whole(draft, daemon.xml)
    return commands, False


def _tell(commands: list[list[str]], words: str, *, done: bool) -> None:
    if done:
        out().print(words, soft_wrap=True)
        return
    err().print("To be done by an administrator:", style="dim")
    for command in commands:
        out().print(f"sudo {shlex.join(command)}", markup=False, soft_wrap=True)

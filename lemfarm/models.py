"""Which model a run means, where it lies on this machine, and whether it is the one that the run began with.

A model is a hub id with its commit, or a folder named by the hash of its configuration, tokenizer and weights.
Nothing here imports MLX, and the hub's library only when a hub id must be looked up.
"""

import ast
import contextlib
import errno
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lemfarm.errors import LemfarmError, ModelError, ModelMismatch, NoSpace, Unavailable
from lemfarm.home import Home, open_home, write_whole
from lemfarm.identity import content_hash, file_hash

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_WEIGHTS = "model*.safetensors"
_INDEX = "model.safetensors.index.json"
#: What decides a model's output beside its weights. The weights' index is left out: loaders glob, they do not read it.
_NAMED_FILES = (
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "config.json",
    "generation_config.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
#: What `lemfarm model get` fetches: everything above, none of the other formats that a hub page may hold.
_DOWNLOADED = ("*.json", "*.jinja", "*.model", "*.tiktoken", "*.txt", _WEIGHTS)


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model on this machine. `name` is what the run file says, `commit` the hub's, none for a folder of one's own."""

    name: str
    folder: Path
    commit: str | None
    content_hash: str


def is_hub_id(name: str) -> bool:
    """True for `owner/model` when no folder of that name is here; a folder always wins."""
    return bool(_HUB_ID.fullmatch(name)) and not Path(name).expanduser().is_dir()


def model_key(name: str, found: FoundModel | None, revision: str | None = None) -> str:
    """How the database and the queues name a model: `b2:...` for a folder, `hub:ID` or `hub:ID@REVISION` for the hub.

    A head node needs no model to name one from the hub; a folder's name is its content, so it must have been found.
    """
    if is_hub_id(name):
        return f"hub:{name}@{revision}" if revision else f"hub:{name}"
    if found is None:
        raise ModelError(f"model {name}: a model folder is named by its content, and it is not on this machine")
    return found.content_hash


def find_model(
    name: str,
    *,
    mapping: Mapping[str, Path] | None = None,
    revision: str | None = None,
    home: Home | None = None,
) -> FoundModel:
    """Find a model by `--model ID=FOLDER`, as a folder, or in the hub's local cache; nothing is downloaded.

    The hash of its files is kept in the home's models.json by path, size and time, so that gigabytes of weights
    are read once. Raises ModelError when the model is not here or not whole, saying what to do.
    """
    folder, commit = _locate(name, mapping or {}, revision)
    read_model_config(folder)
    files = model_files(folder)
    return FoundModel(name, folder, commit, _hash_files(files, home or open_home()))


def model_files(folder: Path) -> tuple[Path, ...]:
    """The files that make up a model, sorted by name. Raises ModelError when weights are missing."""
    weights = weight_files(folder)
    named = [folder / name for name in _NAMED_FILES if (folder / name).is_file()]
    return tuple(sorted([*weights, *named, *folder.glob("*.tiktoken")], key=lambda path: path.name))


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors files that mlx-lm would load. Raises ModelError when there are none or some are missing."""
    weights = tuple(sorted(path for path in folder.glob(_WEIGHTS) if path.is_file()))
    if not weights:
        raise ModelError(
            f"{folder}: no weights ({_WEIGHTS}). Name a folder that mlx-lm can load; `lemfarm model convert` makes one."
        )
    missing = _indexed(folder) - {path.name for path in weights}
    if missing:
        raise ModelError(
            f"{folder}: weights are incomplete, {', '.join(sorted(missing))} is missing. Download or copy it again."
        )
    return weights


def read_model_config(folder: Path) -> dict[str, Any]:
    """The model's config.json. Raises ModelError when it is missing or unreadable, or names no model_type."""
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(f"{folder}: no config.json, so this is not a model folder. Name the folder that holds it.")
    config = _read_json(path)
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise ModelError(f"{path}: names no model_type. Download or convert the model again.")
    return config


def check_architecture(folder: Path) -> str:
    """The mlx-lm module that would run this model. Raises ModelError when the installed mlx-lm has none.

    mlx-lm is looked at from outside (its folder of modules, its two tables of other names): importing it imports MLX.
    """
    config = read_model_config(folder)
    if config.get("model_file"):
        raise ModelError(f"{folder}: it brings its own code ({config['model_file']}), which lemfarm does not run.")
    package = _mlx_lm_folder()
    module = _module_name(config, package)
    if not (package / "models" / f"{module}.py").is_file():
        raise ModelError(
            f"{folder}: model_type {config['model_type']!r} is not supported by the installed mlx-lm. "
            "Use another model, or a lemfarm with a newer mlx-lm."
        )
    return module


def verify_model(found: FoundModel, expected_hash: str) -> None:
    """Make sure that this is the model the run began with. Raises ModelMismatch with both hashes."""
    if found.content_hash == expected_hash:
        return
    raise ModelMismatch(
        f"model {found.name}: {found.folder} holds {found.content_hash}, the run began with {expected_hash}. "
        f"Copy the same files here and point to them with --model {found.name}=FOLDER, or begin a new run."
    )


def get_model(name: str, revision: str | None = None, progress: Callable[[str], None] | None = None) -> Path:
    """Download a model from the hub into its local cache, what is missing of it; returns the folder.

    Raises ModelError for a model, revision or permission that the hub refuses, Unavailable without network, NoSpace.
    """
    from huggingface_hub import snapshot_download

    if not _HUB_ID.fullmatch(name):
        raise ModelError(
            f"model {name}: not a hub id. Write owner/model, for example mlx-community/gemma-3-1b-it-4bit."
        )
    if progress:
        progress(f"fetching {name}{f' at {revision}' if revision else ''}")
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(_DOWNLOADED)))
    except Exception as error:
        raise _download_error(name, error) from error
    weight_files(folder)
    if progress:
        progress(f"{name} is in {folder}")
    return folder


def convert_model(source: str, target: Path, quantize_bits: int | None = None, dtype: str | None = None) -> Path:
    """Convert a model to MLX's format in a child process, so that MLX stays out of this one; returns the new folder.

    `source` is a folder or a hub id; `quantize_bits` of none keeps full precision. Raises ModelError with what
    mlx_lm said last; a folder that was begun is then left for a look, as mlx_lm left it.
    """
    if target.exists():
        raise ModelError(f"{target} exists already: name a new folder, or remove it first")
    command = [sys.executable, "-m", "mlx_lm", "convert", "--hf-path", source, "--mlx-path", str(target)]
    command += ["--quantize", "--q-bits", str(quantize_bits)] if quantize_bits else []
    command += ["--dtype", dtype] if dtype else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or [f"exit {done.returncode}"]
        raise ModelError(f"model {source} could not be converted: {said[0]}")
    weight_files(target)
    return target


def _download_error(name: str, error: Exception) -> LemfarmError:
    """What a failed download means for the user, and what to do."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return ModelError(f"model {name}: accept its licence on its page at huggingface.co, then `hf auth login`")
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelError(f"model {name}: the hub has no such model, or it is private (`hf auth login`)")
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelError(f"model {name}: the hub has no such revision. Name a commit, a tag or a branch.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
        return NoSpace(f"model {name} cannot be stored: {error.strerror}. HF_HOME says where models are kept.")
    reason = error.__cause__ or error
    return Unavailable(
        f"model {name} cannot be fetched: {type(reason).__name__}: {reason}. Check the network and run the same "
        f"command again (it continues), or copy the folder here and use --model {name}=FOLDER."
    )


def _locate(name: str, mapping: Mapping[str, Path], revision: str | None) -> tuple[Path, str | None]:
    if name in mapping:
        return _existing(mapping[name], f"--model {name}={mapping[name]}"), None
    if is_hub_id(name):
        return _cached_snapshot(name, revision)
    return _existing(Path(name), f"model {name}"), None


def _existing(folder: Path, what: str) -> Path:
    folder = folder.expanduser().absolute()
    if not folder.is_dir():
        raise ModelError(f"{what}: there is no folder {folder}. Name a model folder, or a hub id such as owner/model.")
    return folder


def _cached_snapshot(name: str, revision: str | None) -> tuple[Path, str]:
    """The snapshot of a hub id in the local cache, by its config.json; the folder is named by the commit."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(name, "config.json", revision=revision)
    except HFValidationError as error:
        raise ModelError(f"model {name}: not a folder here, and not a hub id: {error}") from error
    if not isinstance(config, str):
        at = f" --revision {revision}" if revision else ""
        raise ModelError(
            f"model {name}{f' at {revision}' if revision else ''} is not on this machine. "
            f"Fetch it with `lemfarm model get {name}{at}`, or point to a copy with --model {name}=FOLDER."
        )
    folder = Path(config).parent
    return folder, folder.name


def _indexed(folder: Path) -> set[str]:
    """The weights files that the index names, if there is an index."""
    path = folder / _INDEX
    if not path.is_file():
        return set()
    index = _read_json(path)
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict):
        raise ModelError(f"{path}: has no weight_map. Download the model again.")
    return {str(name) for name in weight_map.values()}


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read: {error}. Download or copy the model again.") from error


def _hash_files(files: tuple[Path, ...], home: Home) -> str:
    cache = _HashCache(home.root / "models.json")
    hashes = [[path.name, cache.hash_of(path)] for path in files]
    cache.save()
    return content_hash(hashes)


class _HashCache:
    """File hashes by path, size and modification time: reading 16 GB of weights takes a while, once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = self._load()
        self._changed = False

    def hash_of(self, path: Path) -> str:
        try:
            file = path.resolve()
            status = file.stat()
            stamp = [status.st_size, status.st_mtime_ns]
            known = self._known.get(str(file))
            if isinstance(known, list) and known[:2] == stamp:
                return str(known[2])
            found = file_hash(file)
        except OSError as error:
            raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
        self._known[str(file)] = [*stamp, found]
        self._changed = True
        return found

    def save(self) -> None:
        if not self._changed:
            return
        # All that this file can save is time: a model must be found on a full disk too, where others then complain.
        with contextlib.suppress(OSError):
            write_whole(self._path, json.dumps(self._known, indent=0, sort_keys=True).encode())

    def _load(self) -> dict[str, Any]:
        """A missing or damaged file is an empty one: all it can save is time."""
        try:
            known = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


def _mlx_lm_folder() -> Path:
    spec = importlib.util.find_spec("mlx_lm")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("mlx-lm is not installed here, so no model can run: `make setup` installs it")
    return Path(next(iter(spec.submodule_search_locations)))


def _module_name(config: Mapping[str, Any], package: Path) -> str:
    """mlx-lm's own rule: its table by (model_type, architecture) first, then its table by model_type."""
    tables = _literal_tables(package / "utils.py")
    model_type = str(config["model_type"])
    architectures = config.get("architectures") or ()
    for architecture in [architectures] if isinstance(architectures, str) else architectures:
        special = tables.get("MODEL_ARCHITECTURE_REMAPPING", {}).get((model_type, architecture))
        if special:
            return str(special)
    return str(tables.get("MODEL_REMAPPING", {}).get(model_type, model_type))


def _literal_tables(source: Path) -> dict[str, dict[Any, Any]]:
    """The module-level dictionaries of a source file whose names end in REMAPPING."""
    tables: dict[str, dict[Any, Any]] = {}
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        if node.targets[0].id.endswith("REMAPPING"):
            tables[node.targets[0].id] = ast.literal_eval(node.value)
    return tables

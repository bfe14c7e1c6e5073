"""An adapter put into the base model's weights: one folder that stock mlx-lm loads, checked against the two apart.

The work is done in a child process (`lora_fuse.py`), in a draft beside the folder, which gets its name when it is whole
and was found to be near enough to the base model with the adapter. `lemfarm.json` in it says what it came of.

How near is near enough: weights of 32 bits give the same logits but for rounding. Weights of 16 bits, and those that
are quantized again, are rounded once more after the adapter was added, and that can cost as much as the adapter gives.
So the fused model must at least be nearer to the tuned one than the untuned one is; what it lost is told.
"""

import json
import secrets
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lemfarm.errors import InputError, LemfarmError, ModelError, NoSpace
from lemfarm.home import write_whole
from lemfarm.models import FoundModel, read_model_config, weight_files
from lemfarm.training.chosen import Origin
from lemfarm.training.errands import Hear, run_errand

ORIGIN_FILE = "lemfarm.json"
KIND = "fused-model"

EXACT_DIFFERENCE = 0.01
"""The largest difference between logits of 32 bits, in standard deviations of the logits, that passes for rounding: on
the tests' models 0.0001 was measured, and 1.2 with weights of 16 bits, where rounding is no small matter."""

_SPARE = 1.05  #: of the weights' bytes: configuration, tokenizer, what a file system takes


class FuseRefused(LemfarmError):
    """The fused model is not what the base model with the adapter is; nothing was kept of it."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the fused model, as loaded from disk, compares with the base model and the adapter.

    `precision` is the type that the model calculates with, `requantized` whether the fused weights were quantized
    anew. Over `places` next-token distributions: `largest_difference` of a logit, beside their standard deviation;
    `same_token`, the share with the same likeliest token; `distance` from the tuned model, in nats, beside that of the
    base model without the adapter.
    """

    precision: str
    requantized: bool
    places: int
    largest_difference: float
    logit_sd: float
    same_token: float
    distance: float
    distance_of_base: float

    @property
    def is_exact(self) -> bool:
        """The same but for rounding of 32 bits."""
        return self.largest_difference <= EXACT_DIFFERENCE * self.logit_sd

    @property
    def lost(self) -> float:
        """The part of what the adapter changes that is gone: 0 for none, 1 or more where the base model is as near."""
        if self.is_exact:
            return 0.0
        return self.distance / self.distance_of_base if self.distance_of_base > 0 else float("inf")

    @property
    def objection(self) -> str | None:
        """Why the fused model should not be used, or None."""
        if self.is_exact:
            return None
        if self.precision == "float32" and not self.requantized:
            return (
                f"a logit differs by {self.largest_difference:.3g} (standard deviation {self.logit_sd:.3g}) although "
                "all weights have 32 bits. This is an error of the libraries, not rounding."
            )
        if self.lost < 1.0:
            return None
        what = "quantizing the weights again" if self.requantized else f"rounding the weights to {self.precision}"
        advice = "--dequantize keeps it" if self.requantized else "fuse into a base model of 32 bits"
        return (
            f"{what} loses the adapter: the result is {self.distance:.3g} nats from the model with the adapter, the "
            f"base model alone {self.distance_of_base:.3g}. {advice}; or use the adapter beside the base model."
        )


@dataclass(frozen=True, slots=True)
class Fused:
    """A fused model on disk."""

    folder: Path
    origin: Origin
    model: str
    dequantized: bool
    comparison: Comparison
    bytes: int


def fuse(
    origin: Origin, model: FoundModel, adapter: Path, folder: Path, *, dequantize: bool = False, hear: Hear
) -> Fused:
    """Fuse an adapter's folder into its base model; `folder` appears when all is well. `hear` is told of each step.

    Raises InputError for a folder that exists, NoSpace, ErrandFailed when the child ends badly, and FuseRefused when
    the result is not what base model and adapter are together.
    """
    target = _new_folder(folder)
    _refuse_without_room(target.parent, model, dequantize)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        comparison = _work(model.folder, adapter, draft, dequantize, hear)
        if comparison.objection:
            raise FuseRefused(f"adapter {origin.adapter}: {comparison.objection}")
        fused = Fused(target, origin, model.name, dequantize, comparison, _bytes(draft))
        write_whole(draft / ORIGIN_FILE, (json.dumps(_described(fused), indent=2) + "\n").encode())
        draft.rename(target)
    except OSError as error:
        raise NoSpace(f"{folder} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return fused


def read_origin(folder: Path) -> tuple[Origin, Mapping[str, Any]]:
    """What a fused model came of, and all that its `lemfarm.json` says. Raises ModelError when there is none."""
    path = folder / ORIGIN_FILE
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields["kind"] != KIND:
            raise ValueError(f"it describes a {fields['kind']}")
        return Origin.from_dict(fields["origin"]), fields
    except FileNotFoundError:
        raise ModelError(f"{folder}: no {ORIGIN_FILE}, so `lemfarm fuse` did not make this folder.") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path}: cannot be read ({error!r}); fuse the adapter again.") from error


def _new_folder(folder: Path) -> Path:
    target = folder.expanduser().absolute()
    if target.exists() or target.is_symlink():
        raise InputError(f"{folder} exists already: name a new folder with --out, or remove it first.")
    if not target.parent.is_dir():
        raise InputError(f"{folder} cannot be made: there is no folder {target.parent}.")
    return target


def _refuse_without_room(place: Path, model: FoundModel, dequantize: bool) -> None:
    weights = sum(path.stat().st_size for path in weight_files(model.folder))
    bits = (read_model_config(model.folder).get("quantization") or {}).get("bits", 16)
    needed = int(weights * (16 / bits if dequantize else 1) * _SPARE)
    free = shutil.disk_usage(place).free
    if free < needed:
        raise NoSpace(f"{place}: the fused model takes about {needed:,} bytes, {free:,} are free. Free some space.")


def _work(model: Path, adapter: Path, draft: Path, dequantize: bool, hear: Hear) -> Comparison:
    with tempfile.TemporaryDirectory(prefix="lemfarm-fuse-") as desk:
        result, job = Path(desk, "result.json"), Path(desk, "job.json")
        places = {"model": model, "adapter": adapter, "target": draft, "result": result}
        job.write_text(json.dumps({name: str(path) for name, path in places.items()} | {"dequantize": dequantize}))
        run_errand("fusing", [sys.executable, "-m", "lemfarm.training.lora_fuse", str(job)], hear)
        return Comparison(**json.loads(result.read_text()))


def _described(fused: Fused) -> dict[str, Any]:
    return {
        "kind": KIND,
        "format": 1,
        "origin": fused.origin.to_dict(),
        "dequantized": fused.dequantized,
        "comparison": asdict(fused.comparison),
    }


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())

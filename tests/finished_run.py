"""A run whose phases have adapters, for what is made of a finished course: on disk, in the database, never trained."""

import json
from pathlib import Path
from typing import Any

from lemfarm.models import FoundModel, find_model
from lemfarm.records import Evaluation
from lemfarm.training.adapters import CONFIG, WEIGHTS, AdapterManifest, publish, seal
from lemfarm.training.phases import add_loss, claim_stage, finish_stage, open_stage
from tests.ground import Ground

DATASET = "b2:" + "d5" * 16
VERSIONS = {"mlx": "0.0.1", "mlx-lm": "0.0.2"}
_LORA = {"rank": 4, "scale": 16.0, "dropout": 0.0}
_RUN_FILE = """\
run: tiny
model: {{engine: mlx, path: {model}}}
kernel: {{file: kernel.txt}}
sampling: {{temperature: 0.8, top_p: 0.95, max_tokens: 64, seed: 42}}
train: {{rank: 4, scale: 16.0, num_layers: -1}}
phases:
  - name: first
    probes: [probes.jsonl]
    samples: 4
    quota: {{accepted: 10, at_most_per_probe: 5, enough: 4}}
    train: {{iterations: 5, learning_rate: 1.0e-4}}
  - name: second
    probes: [probes.jsonl]
    samples: 4
    quota: {{accepted: 10, at_most_per_probe: 5, enough: 4}}
    train: {{iterations: 6, learning_rate: 2.0e-5}}
"""


class FinishedRun:
    """A planned run on a model folder; `train` gives the next phase an adapter, which is promoted."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.ground = Ground(folder)
        self.home = self.ground.home
        self.model: FoundModel = find_model(str(model), home=self.home)
        self.ground.plan(_RUN_FILE.format(model=model), found=self.model)
        self.adapters: list[str] = []

    def train(self, *, strength: float = 0.1) -> str:
        """An adapter of random weights; `strength` is how much it changes."""
        parent = self.adapters[-1] if self.adapters else None
        manifest = make_adapter(self.model, self.home.ensure(self.home.adapters), len(self.adapters), strength, parent)
        database, run_id = self.ground.database, self.ground.run_id
        phases = self.ground.rows("SELECT id FROM phase ORDER BY position")
        stage = open_stage(database, run_id, phases[len(self.adapters)]["id"])
        claim = claim_stage(database, stage, "w", 90.0)
        assert claim is not None
        for update, loss in ((0, 3.0), (4, 2.5)):
            add_loss(database, claim, "valid", update, loss, {})
        rows = {"hash": DATASET, "train": 18, "valid": 2}
        assert finish_stage(database, claim, manifest, self.home.identity, rows)
        self.adapters.append(manifest.id)
        return manifest.id

    def measure(self, adapter: str, values: list[float], *, split: str = "held_out", **details: Any) -> None:
        """Store what an evaluation found; an empty adapter is the base model."""
        from lemfarm.evaluation.statistics import bootstrap_mean

        interval = bootstrap_mean(values)
        by_probe = {f"P{number}": value for number, value in enumerate(values)}
        with self.ground.database.session() as session:
            session.add(
                Evaluation(
                    run_id=self.ground.run_id,
                    adapter_id=adapter,
                    condition="baseline",
                    split=split,
                    scorer="v2",
                    probes=interval.n,
                    mean=interval.mean,
                    low=interval.low,
                    high=interval.high,
                    details={"by_probe": by_probe, **details},
                    created=1.0,
                )
            )


def make_adapter(model: FoundModel, adapters: Path, seed: int, strength: float, parent: str | None) -> AdapterManifest:
    """LoRA weights over all layers as training would leave them, finished and under their name."""
    import mlx.core as mx
    import mlx_lm
    from mlx.utils import tree_flatten
    from mlx_lm.tuner import linear_to_lora_layers

    mx.random.seed(seed)
    network = mlx_lm.load(str(model.folder))[0]
    network.freeze()
    linear_to_lora_layers(network, -1, _LORA)
    weights = dict(tree_flatten(network.trainable_parameters()))
    changed = {
        name: mx.random.normal(old.shape) * strength / _LORA["scale"] if name.endswith("lora_b") else old
        for name, old in weights.items()
    }
    folder = adapters / ".new"
    folder.mkdir()
    mx.save_safetensors(str(folder / WEIGHTS), changed)
    config = {"fine_tune_type": "lora", "model": model.content_hash, "num_layers": -1, "lora_parameters": _LORA}
    (folder / CONFIG).write_text(json.dumps(config))
    seal(folder, job=f"b2:{seed}", dataset=DATASET, parent=parent, versions=VERSIONS, record={"used": 4})
    return publish(folder, adapters)

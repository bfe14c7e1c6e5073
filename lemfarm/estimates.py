"""What a campaign will cost on a machine: hours, memory, disk, and how far its training goes.

All from a model's config.json and the sizes of its files; nothing is loaded. Figures are estimates that err on the
safe side; `lemfarm try` measures, and a measured figure replaces the table wherever it is given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lemfarm.engine_record import LONG_PROMPT, LONG_SAMPLE, MOST_SLOTS
from lemfarm.errors import ModelError
from lemfarm.models import read_model_config, weight_files

if TYPE_CHECKING:
    from lemfarm.config import RunConfig

_GIB = 1 << 30
#: Prompts are prefilled in chunks of this many tokens (design.md 6).
PREFILL_CHUNK = 256
#: The share of the memory that may be planned with; the rest is for macOS, the worker and what was forgotten.
_USABLE = 0.8
#: Merging and extending a batch's caches copies them: each sample counts twice.
_CACHE_COPIES = 2.0
#: Seconds for one answer of a 27-billion-parameter model on an Apple M3 Ultra, one at a time: the upper end of the
#: curriculum document's "30-60 seconds per example" (its 4,040 generations in 48-72 hours say 43-64).
_SECONDS_AT_27B = 60.0
_27B = 27e9
#: Below this, kernel and prompt, sampling and Python set the pace, not the weights.
_LEAST_SECONDS = 1.0
#: Tokens per second times parameters on MLX's CPU backend, one at a time: 3.8 M parameters gave 112 (mlx.md 4).
_CPU_PARAMETERS_PER_SECOND = 4.2e8
#: Seconds per trained token of a 27-billion-parameter model on an M3 Ultra: the upper end of the curriculum document's
#: 22 to 30 hours for 350 updates of 8 rows of 4,096 tokens.
_TRAINING_SECONDS_AT_27B = 30 * 3600 / (350 * 8 * 4096)
#: Tokens per second times parameters when training on MLX's CPU backend with gradient checkpointing: the lowest of what
#: was measured (1.7 M parameters 2.7e8, 6.4 M 3.7e8, in bfloat16 5.2e8).
_CPU_TRAINED_PARAMETERS_PER_SECOND = 2.7e8
#: Weights, gradients, accumulated gradients, two moments of the optimizer.
_ADAPTER_COPIES = 5
#: How often a layer that is worked on holds values as wide as hidden, intermediate, heads x tokens; and the logits.
_HIDDEN_COPIES, _MLP_COPIES, _SCORE_COPIES, _LOGIT_COPIES = 24, 8, 5, 4
#: A checkpoint in adapters: the weights and two moments.
_CHECKPOINT_ADAPTERS = 3
#: What a layer keeps for the way back when it is not worked on, as a share of that.
_KEPT_ACTIVATIONS = 0.5
#: Bytes that a stored sample takes beside its text: rows, score signals, attempts, indexes.
_ROW_BYTES = 4_000
#: Bytes per token of text (about 4.5) and of token ids in the spool and the database (about 7.5).
_TOKEN_BYTES = 12
#: The mlx-lm models (0.32) that give layers marked `sliding_attention` a bounded cache.
_READS_LAYER_TYPES = frozenset(
    {"llama", "mistral", "ministral3", "gpt_oss", "gemma3n", "gemma4", "gemma4_text", "olmo3"}
)

#: What mlx-lm assumes where Gemma 3's published files are silent (its gemma3 and gemma3_text argument classes).
_GEMMA3 = {
    "hidden_size": 1152,
    "num_hidden_layers": 26,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "intermediate_size": 6912,
    "head_dim": 256,
    "vocab_size": 262144,
    "sliding_window": 512,
    "sliding_window_pattern": 6,
    "max_position_embeddings": 32768,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a model's architecture decides its memory. Layers with a window keep at most `window` tokens."""

    global_layers: int
    local_layers: int
    window: int
    kv_heads: int
    head_dim: int
    heads: int
    hidden: int
    intermediate: int
    vocabulary: int
    experts: int
    element_bytes: int
    context_tokens: int | None

    @property
    def layers(self) -> int:
        """All layers."""
        return self.global_layers + self.local_layers

    @property
    def parameters(self) -> int:
        """About how many parameters; exact for the usual gated transformer with tied embeddings, norms left out."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        return self.vocabulary * self.hidden + self.layers * (
            attention + self.experts * 3 * self.hidden * self.intermediate
        )


@dataclass(frozen=True, slots=True)
class Memory:
    """A plan of one worker's memory, in bytes. `slots` is how many samples it can decode at once; 0: it cannot work."""

    limit: int
    weights: int
    kernel: int
    prefill: int
    per_sample: int
    slots: int

    @property
    def needed(self) -> int:
        """What the worker takes with all its slots in use."""
        return self.weights + self.kernel + self.prefill + int(_CACHE_COPIES * self.slots * self.per_sample)


@dataclass(frozen=True, slots=True)
class Rate:
    """Seconds of one machine per sample, and where the figure comes from (shown beside every estimate)."""

    seconds_per_sample: float
    source: str


@dataclass(frozen=True, slots=True)
class Training:
    """How far a phase's training goes. An iteration is an optimizer update, as everywhere in the run file."""

    updates: int
    micro_steps: int
    examples_seen: int
    epochs: float
    warning: str | None


@dataclass(frozen=True, slots=True)
class TrainingMemory:
    """The peak of a training, in bytes and by what takes it: the adapter with gradients and optimizer, activations with
    what attention needs, the logits with their gradients."""

    weights: int
    adapter: int
    activations: int
    logits: int

    @property
    def needed(self) -> int:
        """All of it together."""
        return self.weights + self.adapter + self.activations + self.logits


@dataclass(frozen=True, slots=True)
class TrainingRate:
    """Seconds of one machine per token that is trained on, and where the figure comes from."""

    seconds_per_token: float
    source: str


def read_shape(folder: Path) -> Shape:
    """The shape of the model in a folder. Raises ModelError when its config.json does not tell."""
    try:
        return shape_of(read_model_config(folder))
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(f"{folder / 'config.json'}: no memory estimate without {error}") from error


def weights_bytes(folder: Path) -> int:
    """The size of the weights files. Raises ModelError when there are none."""
    return sum(path.stat().st_size for path in weight_files(folder))


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The shape a config.json describes; models that also see keep the text part in `text_config`. Raises KeyError."""
    text = {**_defaults(config), **config, **(config.get("text_config") or {})}
    heads = int(text["num_attention_heads"])
    local, window = _local_layers(text)
    layers = int(text["num_hidden_layers"])
    return Shape(
        global_layers=layers - local,
        local_layers=local,
        window=window,
        kv_heads=int(text.get("num_key_value_heads") or heads),
        head_dim=int(text.get("head_dim") or int(text["hidden_size"]) // heads),
        heads=heads,
        hidden=int(text["hidden_size"]),
        intermediate=int(text.get("intermediate_size") or 4 * int(text["hidden_size"])),
        vocabulary=int(text.get("vocab_size") or 0),
        experts=int(text.get("num_local_experts") or text.get("num_experts") or 1),
        element_bytes=4 if text.get("torch_dtype") == "float32" else 2,
        context_tokens=int(text["max_position_embeddings"]) if text.get("max_position_embeddings") else None,
    )


def _defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    if config.get("model_type") == "gemma3":
        return _GEMMA3 | {"num_attention_heads": 8, "num_key_value_heads": 4}
    return _GEMMA3 if config.get("model_type") == "gemma3_text" else {}


def _local_layers(text: Mapping[str, Any]) -> tuple[int, int]:
    """How many layers have a sliding window, and its tokens; (0, 0) where that is not certain: too much is safe."""
    kind, window, layers = str(text.get("model_type")), text.get("sliding_window"), int(text["num_hidden_layers"])
    pattern = text.get("sliding_window_pattern")
    if window and pattern and kind.startswith(("gemma3", "cohere2", "exaone4")):
        return layers - layers // int(pattern), int(window)
    if window and text.get("layer_types") and kind in _READS_LAYER_TYPES:
        return list(text["layer_types"]).count("sliding_attention"), int(window)
    return 0, 0


def longest_sample(config: "RunConfig") -> int:
    """Tokens of prompt and answer for which a worker of this run sizes its slots: never less than the curriculum's,
    because the same worker may serve another run of its model next."""
    answers = [config.sampling_for(phase).max_tokens for phase in config.phases]
    answers += [config.evaluate.max_tokens] if config.evaluate else []
    return max(LONG_SAMPLE, LONG_PROMPT + max(answers))


def kv_bytes(shape: Shape, tokens: int) -> int:
    """Keys and values of one sequence: 2 x kv heads x head size x element x (global x T + local x min(T, window))."""
    kept = shape.global_layers * tokens + shape.local_layers * min(tokens, shape.window)
    return 2 * shape.kv_heads * shape.head_dim * shape.element_bytes * kept


def prefill_bytes(shape: Shape, tokens: int) -> int:
    """A bound of what prefilling a chunk takes: float32 attention scores, a few activations, one row of logits."""
    scores = shape.heads * PREFILL_CHUNK * tokens
    activations = PREFILL_CHUNK * (8 * shape.hidden + 3 * shape.intermediate)
    return 4 * (scores + activations + shape.vocabulary)


def memory_limit(total: int, *, apple: bool) -> int:
    """How much of a machine's memory one worker may have. macOS keeps a part from the GPU: about a third of up to
    36 GiB and a quarter of more (its usual setting; the engine reads the real one when it loads)."""
    if not apple:
        return total
    return int(total * (2 / 3 if total <= 36 * _GIB else 3 / 4))


def memory_plan(
    shape: Shape, weights: int, limit: int, *, kernel_tokens: int, prompt_tokens: int, max_tokens: int
) -> Memory:
    """How many samples fit: (0.8 x limit - weights - kernel - prefill) / (2 x cache of one full-length sample)."""
    tokens = kernel_tokens + prompt_tokens + max_tokens
    per_sample, kernel = kv_bytes(shape, tokens), kv_bytes(shape, kernel_tokens)
    prefill = prefill_bytes(shape, kernel_tokens + prompt_tokens)
    free = _USABLE * limit - weights - kernel - prefill
    slots = max(0, min(MOST_SLOTS, int(free / (_CACHE_COPIES * per_sample)))) if per_sample else MOST_SLOTS
    return Memory(limit, weights, kernel, prefill, per_sample, slots)


def rate_for(parameters: int, *, mean_tokens: int, apple: bool, measured: float | None = None) -> Rate:
    """Seconds per sample on one machine: what was measured, else a cautious figure for a model of that size.

    On Apple silicon decoding reads every weight once per token, so time grows with the parameters from the one
    published figure; batching, which makes it several times better, is left out until it has been measured.
    """
    if measured is not None:
        return Rate(measured, "measured on this farm")
    if apple:
        seconds = max(_LEAST_SECONDS, _SECONDS_AT_27B * parameters / _27B)
        return Rate(seconds, "cautious: 60 s for 27B on an M3 Ultra (curriculum), in proportion, without batching")
    seconds = max(mean_tokens, 1) * max(parameters, 1) / _CPU_PARAMETERS_PER_SECOND
    return Rate(seconds, "cautious: MLX on CPU, 112 tokens/s for 3.8M parameters, in proportion, without batching")


def generation_seconds(generations: float, rate: Rate, machines: int = 1) -> float:
    """Wall-clock seconds for so many samples on so many equal machines."""
    return generations * rate.seconds_per_sample / max(machines, 1)


def disk_bytes(samples: int, mean_tokens: int) -> int:
    """What the samples of a run leave in the home: text, token ids and scores."""
    return samples * (_ROW_BYTES + _TOKEN_BYTES * mean_tokens)


def adapter_bytes(shape: Shape, rank: int, num_layers: int) -> int:
    """A float32 LoRA adapter on the seven linear layers of `num_layers` layers (0 and -1 mean all, as in mlx-lm)."""
    layers = shape.layers if num_layers <= 0 else min(num_layers, shape.layers)
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    attention = 2 * (shape.hidden + queries) + 2 * (shape.hidden + keys)
    return 4 * rank * layers * (attention + 3 * (shape.hidden + shape.intermediate))


def adapters_bytes(adapter: int, phases: int) -> int:
    """The most that the training of so many phases has on disk: an adapter of each, and, while one is trained, its two
    checkpoints with two moments of the optimizer, the best weights so far, and a checkpoint that is being written."""
    return adapter * (phases + 3 * _CHECKPOINT_ADAPTERS + 1) if phases else 0


def training_plan(iterations: int, examples: int, *, batch_size: int, grad_accumulation_steps: int) -> Training:
    """Examples seen and epochs of a phase. `iterations` are optimizer updates; mlx-lm counts micro-steps.

    Below one epoch some accepted samples are never trained on: the warning says how many updates see each once.
    """
    per_update = batch_size * grad_accumulation_steps
    seen = iterations * per_update
    epochs = seen / examples if examples else 0.0
    warning = None
    if examples and seen < examples:
        enough = -(-examples // per_update)
        warning = (
            f"{iterations} iterations see {seen:,} of {examples:,} examples ({epochs:.2f} epochs); "
            f"{enough:,} iterations see each of them once"
        )
    return Training(iterations, iterations * grad_accumulation_steps, seen, epochs, warning)


def training_memory(
    shape: Shape, weights: int, tokens: int, *, batch_size: int, rank: int, num_layers: int, grad_checkpoint: bool
) -> TrainingMemory:
    """The peak of a LoRA training whose longest row has so many tokens; an upper bound of what was measured.

    One layer is worked on at a time; with gradient checkpointing the other trained ones keep their inputs only.
    Attention is not fused where it is trained: each head has its scores. Half of a layer's values are float32 whatever
    the model's type.
    """
    trained = shape.layers if num_layers <= 0 else min(num_layers, shape.layers)
    seen = batch_size * tokens
    inputs = trained * seen * shape.hidden * shape.element_bytes
    widths = _HIDDEN_COPIES * shape.hidden + _MLP_COPIES * shape.intermediate + _SCORE_COPIES * shape.heads * tokens
    kept = 0.0 if grad_checkpoint else _KEPT_ACTIVATIONS * trained
    return TrainingMemory(
        weights=weights,
        adapter=_ADAPTER_COPIES * adapter_bytes(shape, rank, num_layers),
        activations=inputs + int((1 + kept) * seen * widths * (shape.element_bytes + 4) / 2),
        logits=_LOGIT_COPIES * seen * shape.vocabulary * shape.element_bytes,
    )


def training_rate(parameters: int, *, apple: bool) -> TrainingRate:
    """Seconds per token of a model of that size: in proportion to the one published figure, or to what was measured."""
    if apple:
        return TrainingRate(
            _TRAINING_SECONDS_AT_27B * parameters / _27B,
            "30 h for 350 updates of 8 rows of 4,096 tokens at 27B on an M3 Ultra (curriculum), in proportion",
        )
    return TrainingRate(
        max(parameters, 1) / _CPU_TRAINED_PARAMETERS_PER_SECOND, "MLX on CPU, measured on small models, in proportion"
    )

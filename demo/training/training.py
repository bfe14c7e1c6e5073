"""The training recipe: fixed seeds, a fixed number of steps, one thread.

The same versions on the same kind of processor give the same weights, bit for bit.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from corpus import Corpus
from network import IGNORE, Network, Shape
from tokens import Encoder
from torch import Tensor

log = logging.getLogger(__name__)

Row = tuple[list[int], int]
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides the weights. Every example is new: the corpus is endless, there are no epochs."""

    steps: int = 1800
    batch: int = 16
    learning_rate: float = 4e-3
    warm_up: int = 60
    last_rate: float = 0.02  # of the learning rate, where the cosine ends
    weight_decay: float = 0.05
    clip: float = 1.0
    seed: int = 0
    corpus_seed: int = 11
    check_seed: int = 12
    check_examples: int = 256


# Examples of like length share a batch; sorting happens within this many batches.
BATCHES_PER_CHUNK = 16
STEPS_PER_REPORT = 100


def train(shape: Shape, encoder: Encoder, recipe: Recipe) -> Network:
    """Train a network from nothing and report its loss on examples of another seed."""
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    torch.use_deterministic_algorithms(True)
    network = Network(shape)
    log.info("%.2f million parameters", sum(weight.numel() for weight in network.parameters()) / 1e6)
    optimizer = _optimizer(network, recipe)
    batches = _batches(encoder, recipe)
    began, seen = time.monotonic(), 0
    for step in range(recipe.steps):
        tokens, labels = next(batches)
        loss = _update(network, optimizer, tokens, labels, _rate(step, recipe), recipe.clip)
        seen += tokens.numel()
        if (step + 1) % STEPS_PER_REPORT == 0:
            log.info("step %d: loss %.3f, %.0f tokens/s", step + 1, loss, seen / (time.monotonic() - began))
    log.info("%d tokens in %.0f s", seen, time.monotonic() - began)
    log.info("loss on examples of another seed: %.4f", check(network, encoder, recipe))
    return network


def check(network: Network, encoder: Encoder, recipe: Recipe) -> float:
    """Mean loss over batches of examples that training did not see."""
    rows = encoder.stream(Corpus(recipe.check_seed), recipe.check_examples)
    batches = [_tensors(rows[start : start + 64]) for start in range(0, len(rows), 64)]
    with torch.no_grad():
        return sum(float(network.loss(*batch)) for batch in batches) / len(batches)


def _optimizer(network: Network, recipe: Recipe) -> torch.optim.AdamW:
    matrices = [weight for weight in network.parameters() if weight.dim() > 1]
    norms = [weight for weight in network.parameters() if weight.dim() == 1]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": norms, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)


def _update(
    network: Network, optimizer: torch.optim.AdamW, tokens: Tensor, labels: Tensor, rate: float, clip: float
) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate
    loss = network.loss(tokens, labels)
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimizer.step()
    return loss.item()


def _rate(step: int, recipe: Recipe) -> float:
    """Learning rate of a step: a linear warm-up under a cosine that falls to `last_rate`."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    warm = min(1.0, (step + 1) / recipe.warm_up)
    return recipe.learning_rate * warm * (recipe.last_rate + (1 - recipe.last_rate) * cosine)


def _batches(encoder: Encoder, recipe: Recipe) -> Iterator[Batch]:
    corpus, order = Corpus(recipe.corpus_seed), random.Random(recipe.seed)
    while True:
        rows = sorted(encoder.stream(corpus, recipe.batch * BATCHES_PER_CHUNK), key=lambda row: len(row[0]))
        starts = list(range(0, len(rows), recipe.batch))
        order.shuffle(starts)
        yield from (_tensors(rows[start : start + recipe.batch]) for start in starts)


def _tensors(rows: Sequence[Row]) -> Batch:
    """Tokens and labels (rows x longest), each label the next token; prompts and padding are not learnt."""
    longest = max(len(ids) for ids, _ in rows)
    tokens = torch.zeros(len(rows), longest, dtype=torch.long)
    labels = torch.full((len(rows), longest), IGNORE)
    for number, (ids, prompt) in enumerate(rows):
        row = torch.tensor(ids)
        tokens[number, : len(ids)] = row
        labels[number, prompt - 1 : len(ids) - 1] = row[prompt:]
    return tokens[:, :-1], labels[:, :-1]

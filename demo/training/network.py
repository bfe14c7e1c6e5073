"""Gemma 3's text architecture in plain PyTorch, as small as the demo needs it.

Parameters carry the names that MLX and transformers give them, so that conversion is a change of number format only.
Three details must be as they are for the same numbers in MLX: norms scale by 1 + weight, rotary positions turn half
against half (not neighbours), and embeddings are multiplied by the square root of their width *rounded to bfloat16*.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

IGNORE = -100  # a label that costs nothing

Rotation = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the network, named as in its config.json."""

    vocab_size: int
    hidden_size: int = 128
    num_hidden_layers: int = 6
    intermediate_size: int = 256
    num_attention_heads: int = 4
    head_dim: int = 32
    sliding_window: int = 512
    sliding_window_pattern: int = 6
    rms_norm_eps: float = 1e-6
    rope_theta: float = 1_000_000.0
    rope_local_base_freq: float = 10_000.0

    def is_global(self, layer: int) -> bool:
        """Whether a layer sees everything; it then turns its positions more slowly than the sliding ones."""
        return (layer + 1) % self.sliding_window_pattern == 0


class Norm(nn.Module):
    """Root mean square norm; a weight of zero leaves the scale alone."""

    def __init__(self, size: int, eps: float, weight: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((size,), weight))
        self.eps = eps

    def forward(self, hidden: Tensor) -> Tensor:
        return functional.rms_norm(hidden, hidden.shape[-1:], 1 + self.weight, self.eps)


class Attention(nn.Module):
    """Causal attention with four query heads on one key and value head."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.size = shape.num_attention_heads, shape.head_dim
        self.q_proj = _linear(shape.hidden_size, self.heads * self.size)
        self.k_proj = _linear(shape.hidden_size, self.size)
        self.v_proj = _linear(shape.hidden_size, self.size)
        self.o_proj = _linear(self.heads * self.size, shape.hidden_size)
        self.q_norm = Norm(self.size, shape.rms_norm_eps)
        self.k_norm = Norm(self.size, shape.rms_norm_eps)

    def forward(self, hidden: Tensor, rotation: Rotation) -> Tensor:
        rows, length, _ = hidden.shape
        queries = self.q_proj(hidden).view(rows, length, self.heads, self.size).transpose(1, 2)
        keys = self.k_proj(hidden).view(rows, 1, length, self.size)
        values = self.v_proj(hidden).view(rows, 1, length, self.size)
        queries, keys = _rotate(self.q_norm(queries), rotation), _rotate(self.k_norm(keys), rotation)
        wide = (rows, self.heads, length, self.size)
        mixed = functional.scaled_dot_product_attention(
            queries, keys.expand(wide), values.expand(wide), is_causal=True, scale=self.size**-0.5
        )
        output: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(rows, length, self.heads * self.size))
        return output


class FeedForward(nn.Module):
    """Gated feed-forward layer with the tanh form of GELU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = _linear(shape.hidden_size, shape.intermediate_size)
        self.up_proj = _linear(shape.hidden_size, shape.intermediate_size)
        self.down_proj = _linear(shape.intermediate_size, shape.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        gate = functional.gelu(self.gate_proj(hidden), approximate="tanh")
        output: Tensor = self.down_proj(gate * self.up_proj(hidden))
        return output


class Block(nn.Module):
    """One layer: attention and feed-forward, each normed before and after."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        size, eps = shape.hidden_size, shape.rms_norm_eps
        self.self_attn = Attention(shape)
        self.mlp = FeedForward(shape)
        self.input_layernorm = Norm(size, eps)
        self.pre_feedforward_layernorm = Norm(size, eps)
        # Below one, so that at the start a layer adds little to what it was given.
        self.post_attention_layernorm = Norm(size, eps, weight=-0.6)
        self.post_feedforward_layernorm = Norm(size, eps, weight=-0.6)

    def forward(self, hidden: Tensor, rotation: Rotation) -> Tensor:
        hidden = hidden + self.post_attention_layernorm(self.self_attn(self.input_layernorm(hidden), rotation))
        output: Tensor = hidden + self.post_feedforward_layernorm(self.mlp(self.pre_feedforward_layernorm(hidden)))
        return output


class Decoder(nn.Module):
    """Embeddings and layers."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        nn.init.normal_(self.embed_tokens.weight, std=shape.hidden_size**-0.5)
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.num_hidden_layers))
        self.norm = Norm(shape.hidden_size, shape.rms_norm_eps)
        self.multiplier = torch.tensor(shape.hidden_size**0.5).bfloat16().float().item()
        self.near = _rotation(shape.sliding_window, shape.head_dim, shape.rope_local_base_freq)
        self.far = _rotation(shape.sliding_window, shape.head_dim, shape.rope_theta)

    def forward(self, tokens: Tensor) -> Tensor:
        if tokens.shape[1] > self.shape.sliding_window:
            raise ValueError(f"{tokens.shape[1]} tokens are more than the window of {self.shape.sliding_window}")
        hidden = self.embed_tokens(tokens) * self.multiplier
        for number, layer in enumerate(self.layers):
            hidden = layer(hidden, self.far if self.shape.is_global(number) else self.near)
        output: Tensor = self.norm(hidden)
        return output


class Network(nn.Module):
    """The language model; its output layer is its embedding table."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.model = Decoder(shape)

    def loss(self, tokens: Tensor, labels: Tensor) -> Tensor:
        """Mean cross entropy over the positions of `labels` (rows x length, both) that are not `IGNORE`."""
        counted = labels != IGNORE
        hidden = self.model(tokens)[counted]
        return functional.cross_entropy(functional.linear(hidden, self.model.embed_tokens.weight), labels[counted])


def _linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, std=inputs**-0.5)
    return layer


def _rotation(length: int, size: int, base: float) -> Rotation:
    frequencies = base ** (-torch.arange(0, size, 2) / size)
    angles = (torch.arange(length)[:, None] * frequencies).repeat(1, 2)
    return angles.cos(), angles.sin()


def _rotate(vectors: Tensor, rotation: Rotation) -> Tensor:
    cosine, sine = (table[: vectors.shape[2]] for table in rotation)
    first, second = vectors.chunk(2, dim=-1)
    return vectors * cosine + torch.cat([-second, first], dim=-1) * sine

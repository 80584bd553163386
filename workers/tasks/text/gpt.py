"""A small GPT: A. Radford et al., "Language Models are Unsupervised Multitask Learners", 2019.

Pre-normalised blocks and learned positions. Weights are drawn with standard deviation 0.02, divided by sqrt(2 layers)
for the layers that write to the residual stream.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from workers.tasks.text.params import TextParams

DEVIATION = 0.02
# Without memory-efficient attention, which sums gradients in an order that changes from run to run.
REPEATABLE = [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]


class Gpt(nn.Module):
    """tokens: (batch, context) -> logits: (batch, context, vocabulary)"""

    def __init__(self, params: TextParams, vocabulary: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, params.width)
        self.positions = nn.Embedding(params.context, params.width)
        self.dropout = nn.Dropout(params.dropout)
        self.blocks = nn.Sequential(*(_Block(params) for _ in range(params.layers)))
        self.norm = nn.LayerNorm(params.width)
        self.head = nn.Linear(params.width, vocabulary, bias=False)
        self._draw(params.layers)

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        stream = self.dropout(self.tokens(tokens) + self.positions(places))
        with sdpa_kernel(REPEATABLE):
            stream = self.blocks(stream)
        logits: Tensor = self.head(self.norm(stream))
        return logits

    def _draw(self, layers: int) -> None:
        for name, weight in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weight)
            elif weight.ndim == 2:
                writes = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(weight, std=DEVIATION / math.sqrt(2 * layers) if writes else DEVIATION)


class _Block(nn.Module):
    def __init__(self, params: TextParams) -> None:
        super().__init__()
        width = params.width
        self.heads = params.heads
        self.attention_norm = nn.LayerNorm(width)
        self.attention = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(params.dropout)

    def forward(self, stream: Tensor) -> Tensor:
        stream = stream + self.dropout(self.out(self._attend(self.attention_norm(stream))))
        hidden = functional.gelu(self.up(self.mlp_norm(stream)))
        added: Tensor = self.dropout(self.down(hidden))
        return stream + added

    def _attend(self, stream: Tensor) -> Tensor:
        batch, context, width = stream.shape
        split = self.attention(stream).view(batch, context, 3, self.heads, width // self.heads)
        # Each of the three is (batch, heads, context, head_width).
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return mixed.transpose(1, 2).reshape(batch, context, width)

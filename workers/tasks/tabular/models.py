"""The three models of tables: linear, mlp, and residual blocks.

The residual blocks follow Y. Gorishniy et al., "Revisiting Deep Learning Models for Tabular Data", arXiv:2106.11959,
but with layer normalisation instead of batch normalisation, which needs at least two rows in every batch.
"""

from __future__ import annotations

from torch import Tensor, nn

from workers.tasks.activations import ACTIVATIONS
from workers.tasks.tabular.params import TabularParams


def build_model(params: TabularParams, features: int, outputs: int) -> nn.Module:
    """rows: (batch, features) -> (batch, outputs)"""
    hidden = params.hidden
    if params.model == "linear":
        return nn.Linear(features, outputs)
    if params.model == "mlp":
        widths = [features, *[hidden] * params.layers]
        layers = [_layer(inward, hidden, params) for inward in widths[:-1]]
        return nn.Sequential(*layers, nn.Linear(hidden, outputs))
    blocks = [_Residual(params) for _ in range(params.layers)]
    last = [nn.LayerNorm(hidden), ACTIVATIONS[params.activation](), nn.Linear(hidden, outputs)]
    return nn.Sequential(nn.Linear(features, hidden), *blocks, *last)


def _layer(inward: int, outward: int, params: TabularParams) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inward, outward), ACTIVATIONS[params.activation](), nn.Dropout(params.dropout))


class _Residual(nn.Module):
    def __init__(self, params: TabularParams) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(params.hidden)
        self.layer = _layer(params.hidden, 2 * params.hidden, params)
        self.out = nn.Linear(2 * params.hidden, params.hidden)

    def forward(self, rows: Tensor) -> Tensor:
        added: Tensor = self.out(self.layer(self.norm(rows)))
        return rows + added

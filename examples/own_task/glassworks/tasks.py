"""The task `glassworks.wine`: classify wines of three vineyards by thirteen measurements."""

from typing import Annotated

import torch
from pydantic import Field
from sklearn.datasets import load_wine
from torch import nn

from workers.tasks.public import Classification, HeldOutParams, TensorData, split


class WineParams(HeldOutParams):
    hidden: Annotated[int, Field(ge=1, le=1024, description="width of the hidden layer")] = 16


class Wine(Classification):
    params_model = WineParams
    params: WineParams

    def data(self, device: torch.device) -> TensorData:
        inputs, classes = map(torch.tensor, load_wine(return_X_y=True))
        train, val = split(len(classes), self.params.validation_fraction, self.params.split_seed)
        inputs = ((inputs - inputs[train].mean(0)) / inputs[train].std(0)).float()
        return TensorData(inputs[train], classes[train], inputs[val], classes[val]).to(device)

    def build_model(self) -> nn.Module:
        return nn.Sequential(nn.Linear(13, self.params.hidden), nn.ReLU(), nn.Linear(self.params.hidden, 3))

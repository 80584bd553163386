"""Lightning's Trainer with lehr's rates: a linear model on scikit-learn's wine data.

python examples/own_lightning.py [URL]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from sklearn.datasets import load_wine
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lehr.lightning import TrialCallback
from lehr.script import ScriptClient, ScriptTrial

FOLDER = Path(tempfile.gettempdir()) / "lehr-wine-lightning"
"""Where checkpoints are saved, so that another process can resume a training."""
STUDY: dict[str, Any] = {
    "name": "wine-lightning",
    "task": {"name": "script:wine-lightning"},
    "space": {"families": ["constant", "cosine", "one_cycle"], "start_lr": {"low": 1e-3, "high": 1.0}},
    "objective": {"metric": "val_loss", "direction": "minimize"},
    "budget": {"trials": 3},
    "confirm": None,
}


class Wine(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(13, 3)

    def training_step(self, batch: list[Tensor], _index: int) -> Tensor:
        loss = nn.functional.cross_entropy(self.layer(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: list[Tensor], _index: int) -> None:
        self.log("val_loss", nn.functional.cross_entropy(self.layer(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        # This rate is never used: the callback sets the rate of each step.
        return torch.optim.SGD(self.parameters(), lr=1.0, momentum=0.9)


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8765"
    with ScriptClient(url) as client:
        for trial in client.trials(STUDY, horizon_steps=20):
            train(trial)


def train(trial: ScriptTrial) -> None:
    seed_everything(trial.seed % 2**32, verbose=False)
    table, classes = map(torch.tensor, load_wine(return_X_y=True))
    rows = TensorDataset(((table - table.mean(0)) / table.std(0)).float(), classes)
    used, held_out = torch.utils.data.random_split(rows, [142, 36])
    callback = TrialCallback(trial, FOLDER)
    trainer = Trainer(
        max_steps=trial.horizon_steps,
        callbacks=[callback],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    batches, validation = DataLoader(used, batch_size=32, shuffle=True), DataLoader(held_out, batch_size=36)
    trainer.fit(Wine(), batches, validation, ckpt_path=callback.checkpoint)


if __name__ == "__main__":
    main()

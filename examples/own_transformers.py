"""Hugging Face's Trainer with lehr's rates: a tiny GPT-2 learns to count.

python examples/own_transformers.py [URL]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, set_seed

from lehr.script import ScriptClient, ScriptTrial
from lehr.transformers import TrialCallback

FOLDER = Path(tempfile.gettempdir()) / "lehr-counting"
"""Where checkpoints are saved, so that another process can resume a training."""
STUDY: dict[str, Any] = {
    "name": "counting-trainer",
    "task": {"name": "script:counting"},
    "space": {"families": ["constant", "cosine", "one_cycle"], "start_lr": {"low": 1e-4, "high": 1e-1}},
    "objective": {"metric": "eval_loss", "direction": "minimize"},
    "budget": {"trials": 3},
    "confirm": None,
}


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8765"
    with ScriptClient(url) as client:
        for trial in client.trials(STUDY, horizon_steps=12):
            train(trial)


def train(trial: ScriptTrial) -> None:
    set_seed(trial.seed % 2**32)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=16, n_positions=8, n_embd=16, n_layer=1, n_head=2))
    arguments = TrainingArguments(
        output_dir=str(FOLDER / f"{trial.study_id}-{trial.number}"),  # a separate folder for each trial
        max_steps=trial.horizon_steps,
        per_device_train_batch_size=8,
        eval_strategy="steps",
        eval_steps=4,
        logging_steps=4,
        save_steps=4,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        seed=trial.seed % 2**32,
    )
    callback = TrialCallback(trial)
    trainer = Trainer(
        model,
        arguments,
        train_dataset=counting(32),
        eval_dataset=counting(8),
        callbacks=[callback],
    )
    trainer.train(resume_from_checkpoint=callback.checkpoint)


def counting(rows: int) -> Any:
    """Rows that count up from a random number, modulo the vocabulary size."""
    tokens = (torch.arange(8) + torch.randint(16, (rows, 1))) % 16
    return [{"input_ids": row, "labels": row} for row in tokens]


if __name__ == "__main__":
    main()

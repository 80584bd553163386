"""Runs Ray Tune with Optuna on the same task in the Python that has ray; prints the seconds."""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def main() -> None:
    import ray  # type: ignore[import-not-found]
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch  # type: ignore[import-not-found]

    order = json.loads(sys.argv[1])

    def trainable(config: dict[str, Any]) -> None:
        sys.path.insert(0, order["root"])
        from benchmarks.trials_per_hour.one_trial import train

        schedule = {"family": "cosine", "start_lr": config["start_lr"], "end_lr": config["end_lr"]}
        for report in train(order["task"], order["data_dir"], schedule, seed=0):
            tune.report({"val_accuracy": report.metrics["val_accuracy"]})

    ray.init(num_cpus=order["cores"], include_dashboard=False, logging_level="error", log_to_driver=False)
    space = {"start_lr": tune.loguniform(*order["start_lr"]), "end_lr": tune.loguniform(*order["end_lr"])}
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="val_accuracy", mode="max", search_alg=OptunaSearch(), num_samples=order["trials"]
        ),
        run_config=tune.RunConfig(verbose=0, storage_path=order["folder"]),
    )
    begun = time.perf_counter()
    results = tuner.fit()
    seconds = time.perf_counter() - begun
    print(json.dumps({"seconds": seconds, "errors": results.num_errors}))
    ray.shutdown()


if __name__ == "__main__":
    main()

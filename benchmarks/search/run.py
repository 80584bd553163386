"""Measures how soon a search finds the best row of a table: lehr, cold and warm, against Optuna.

    python benchmarks/search/run.py --tables DIR --cache FILE.jsonl [--minutes 8] [--seeds 8] [--only lehr]

DIR has the tables (`.npz`, see `tables.py`), for example TaskSet's from the DyHPO repository. Regret is that of the
best row trained to its end: 0 is the table's best final loss, 1 the median row's. lehr warm knows the other tables of
DIR and never the one it is searching. lehr cold knows none of them, and starts with a common default: Adam's, by the
rows nearest to it. FILE caches each result by method, table and seed; a run continues where the last one stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.search.lehr_search import first_rows, lehr_regrets
from benchmarks.search.peers import PEERS, peer_regrets
from benchmarks.search.tables import BUDGETS, Table, read_tables
from benchmarks.setting import setting

COLD, WARM, BARE = "lehr, cold", "lehr, warm", "lehr, cold, without the default"
STARTED = {f"{name}, from the same default": name for name in ("TPE", "TPE + ASHA")}
"""Peers that are given the first trials of lehr, cold."""
METHODS = (COLD, WARM, BARE, *PEERS, *STARTED)
Key = tuple[str, str, int]


def main() -> None:
    arguments = _arguments()
    tables = read_tables(arguments.tables)
    known = read_cache(arguments.cache)
    deadline = time.monotonic() + 60 * arguments.minutes
    with arguments.cache.open("a", encoding="utf-8") as file:
        for key in jobs(tables, arguments.seeds, arguments.only):
            if key in known:
                continue
            if time.monotonic() > deadline:
                break
            known[key] = measured(key, tables)
            file.write(json.dumps([*key, known[key]]) + "\n")
            file.flush()
    lines = report(known, tables, arguments.seeds)
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def jobs(tables: Sequence[Table], seeds: int, only: str) -> Iterator[Key]:
    """Seed by seed, so that what was measured half-way is even."""
    for seed in range(seeds):
        for method in METHODS:
            if only in method:
                yield from ((method, table.name, seed) for table in tables)


def measured(key: Key, tables: Sequence[Table]) -> list[float]:
    method, name, seed = key
    table = next(one for one in tables if one.name == name)
    if method == COLD:
        return lehr_regrets(table, seed)
    if method == BARE:
        return lehr_regrets(table, seed, priors=0)
    if method == WARM:
        return lehr_regrets(table, seed, [one for one in tables if one.name != name])
    if method in STARTED:
        return peer_regrets(STARTED[method], table, seed, first_rows(table, []))
    return peer_regrets(method, table, seed)


def read_cache(path: Path) -> dict[Key, list[float]]:
    if not path.exists():
        return {}
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(method, table, seed): regrets for method, table, seed, regrets in entries}


def report(known: dict[Key, list[float]], tables: Sequence[Table], seeds: int) -> list[str]:
    lines = [
        "# Searching tables",
        "",
        f"{setting('optuna', 'numpy', 'scipy')}.",
        "By `python benchmarks/search/run.py --tables DIR --cache FILE.jsonl`.",
        "",
        f"Normalised regret, mean over {len(tables)} tables and the seeds done (± standard error over seeds), after",
        "so many full trainings' worth of steps. Less is better.",
        "To reach: 0.15 cold and 0.05 warm at 10, 0.02 cold at 40.",
        "",
        "| search | " + " | ".join(str(budget) for budget in BUDGETS) + " | seeds |",
        "|---|" + "---:|" * (len(BUDGETS) + 1),
    ]
    for method in METHODS:
        done = [seed for seed in range(seeds) if all((method, one.name, seed) in known for one in tables)]
        means = [[statistics.fmean(known[method, one.name, s][at] for one in tables) for s in done] for at in range(3)]
        if done:
            lines.append(f"| {method} | " + " | ".join(_cell(values) for values in means) + f" | {len(done)} |")
    return lines


def _cell(values: list[float]) -> str:
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return f"{statistics.fmean(values):.3f} ± {error:.3f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tables", type=Path, required=True, help="a folder of tables")
    parser.add_argument("--cache", type=Path, required=True, help="results by method, table and seed")
    parser.add_argument("--minutes", type=float, default=8.0, help="stop measuring after so long")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--only", default="", help="methods whose name contains this")
    parser.add_argument("--output", type=Path, help="write the table there, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()

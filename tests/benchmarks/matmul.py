"""This machine's measured rate of matrix products, and the fraction of it that training reaches.

    python tests/benchmarks/matmul.py
    python tests/benchmarks/matmul.py --record results.jsonl   # a file of run.py --keep

The rate is that of one core: the fastest of several square float32 products by torch and by numpy,
whichever is better. A hand-written kernel may beat both; then the fractions are too kind.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import kept
import numpy as np
import torch
from measure import Cost
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

SIDES = (256, 512, 1024)
SECONDS = 0.5


def main(arguments: Sequence[str]) -> None:
    """Print GFLOP/s a core, and each contestant's fraction of it where a record is given."""
    parser = argparse.ArgumentParser(description="The rate of matrix products.")
    parser.add_argument("--record", type=Path, default=None)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each product")
    given = parser.parse_args(arguments)
    with threadpool_limits(1):
        rates = measure(given.seconds)
    best = max(rates.values())
    told: dict[str, Any] = {"gflop_s_a_core": {name: round(each) for name, each in rates.items()}}
    if given.record is not None:
        told["reached"] = fractions(kept.costs(given.record), best)
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


def measure(seconds: float) -> dict[str, float]:
    """GFLOP/s of each library's fastest product on one core."""
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    rates = {"torch": 0.0, "numpy": 0.0}
    for side in SIDES:
        left, right = (generator.random((side, side), dtype=np.float32) for _ in range(2))
        left_t, right_t = torch.from_numpy(left), torch.from_numpy(right)
        out, out_t = np.empty_like(left), torch.empty_like(left_t)
        products: dict[str, Callable[[], object]] = {
            "torch": lambda a=left_t, b=right_t, c=out_t: torch.mm(a, b, out=c),  # type: ignore[misc]
            "numpy": lambda a=left, b=right, c=out: np.matmul(a, b, out=c),  # type: ignore[misc]
        }
        for name, product in products.items():
            rate = 2 * side**3 / _fastest(product, seconds) / 1e9
            rates[name] = max(rates[name], rate)
    return rates


def fractions(runs: dict[str, list[Cost]], rate: float) -> dict[str, float]:
    """Useful arithmetic a CPU second of each contestant, as a fraction of `rate`, by medians.

    CPU seconds are those of the whole process, so start-up and tracking count against it.
    """
    return {
        name: round(statistics.median(each.report["gflop"] / each.cpu_s for each in of) / rate, 4)
        for name, of in runs.items()
    }


def _fastest(product: Callable[[], object], seconds: float) -> float:
    product()
    times: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or not times:
        start = time.perf_counter()
        product()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main(sys.argv[1:])

"""How far the winner's score is from the truth: as the search has it, and confirmed.

    python tests/benchmarks/winner.py --seeds 10

Each seed draws 750 of Fashion-MNIST's training pictures, of which 150 validate, searches 60 small
networks, and then has the best trained again on other seeds and other divisions of the 750. The
truth is the accuracy on 10,000 other pictures: of the search's best trial for its own score, of the
confirmed winner for the confirmed one.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnsearch.data.idx_file import idx

NUM_SEARCHED, NUM_OTHERS = 750, 10_000
FASHION = os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist")
STUDY = """
name = "winner"
seed = SEED
[data]
source = "npz"
[data.npz]
path = "pictures.npz"
test_inputs = "x_test"
test_targets = "y_test"
[task]
name = "classification"
[model]
name = "mlp"
depth = { int = [1, 3] }
width = { choice = [16, 32, 64] }
dropout = { float = [0.0, 0.5] }
[optimizer]
one_of = ["adam", "sgd", "rmsprop"]
lr = { float = [3e-4, 3e-2], log = true }
[training]
epochs = 12
[search]
trials = 60
"""


def main(arguments: Sequence[str]) -> None:
    """Print the mean error of both scores, their ratio, and how often the interval holds."""
    parser = argparse.ArgumentParser(description="The winner's score against the truth.")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--set", action="append", default=[], help="a setting of the study")
    given = parser.parse_args(arguments)
    found = []
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory() as scratch:
            found.append(once(seed, Path(scratch), given.set))
        sys.stderr.write(f"seed {seed}: {found[-1]}\n")
    sys.stdout.write(json.dumps(summary(found), indent=1) + "\n")


def once(seed: int, folder: Path, settings: Sequence[str]) -> dict[str, float]:
    """Both scores of one seed, and the truth of each."""
    _write(seed, folder)
    (folder / "winner.toml").write_text(STUDY.replace("SEED", str(seed)))
    searched = _run(folder, "off", [*settings, "confirmation.trials=0"])
    confirmed = _run(folder, "on", [*settings, "confirmation.resample=true"])
    first = confirmed["confirmed"]["candidates"][0]
    return {
        "searched": searched["best"]["value"],
        "searched_truth": searched["tested"]["metrics"]["accuracy"],
        "confirmed": first["estimate"],
        "low": first["low"],
        "high": first["high"],
        "confirmed_truth": confirmed["tested"]["metrics"]["accuracy"],
    }


def summary(found: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Mean absolute errors and biases in points, and the share of intervals that hold the truth."""
    told: dict[str, Any] = {}
    for name in ("searched", "confirmed"):
        errors = [100 * (each[name] - each[f"{name}_truth"]) for each in found]
        told[f"{name}_error"] = round(statistics.mean(map(abs, errors)), 2)
        told[f"{name}_bias"] = round(statistics.mean(errors), 2)
    told["ratio"] = round(told["confirmed_error"] / told["searched_error"], 2)
    holds = [each["low"] <= each["confirmed_truth"] <= each["high"] for each in found]
    told["intervals_that_hold"] = f"{sum(holds)} of {len(holds)}"
    gains = [each["confirmed_truth"] - each["searched_truth"] for each in found]
    told["winner_gains"] = round(100 * statistics.mean(gains), 2)
    return told


def _write(seed: int, folder: Path) -> None:
    """The pictures of a seed at half their side, 14 x 14, as rows."""
    images, labels = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
    pictures = idx(folder, data_root=FASHION, images=images, labels=labels)
    rows = np.random.default_rng(seed).permutation(pictures.num_rows)
    chosen = pictures.take(rows[: NUM_SEARCHED + NUM_OTHERS])
    pixels = np.asarray(chosen.inputs, np.float32).reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))
    inputs, classes = pixels.reshape(len(pixels), -1) / 255, np.asarray(chosen.targets)
    np.savez(
        folder / "pictures.npz",
        x=inputs[:NUM_SEARCHED],
        y=classes[:NUM_SEARCHED],
        x_test=inputs[NUM_SEARCHED:],
        y_test=classes[NUM_SEARCHED:],
    )


def _run(folder: Path, home: str, settings: Sequence[str]) -> dict[str, Any]:
    line = [sys.executable, "-m", "nnsearch", "run", "winner.toml", "--mlruns", home]
    line += [part for each in settings for part in ("--set", each)]
    subprocess.run(line, cwd=folder, check=True, capture_output=True)
    result = json.loads((folder / home / "studies" / "winner" / "result.json").read_text())
    told: dict[str, Any] = result["conclusion"]
    return told


if __name__ == "__main__":
    main(sys.argv[1:])

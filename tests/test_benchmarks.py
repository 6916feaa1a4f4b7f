"""The benchmarks still run and measure what they say. Peers of other makers are not needed."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parent / "benchmarks"


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("measure")


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS / "workloads"))
    return importlib.import_module("work")


def script(name: str, *arguments: object) -> str:
    """What a benchmark's script prints."""
    line = [sys.executable, str(BENCHMARKS / name), *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# A child that computes and a grandchild that computes on after its parent has left.
BUSY = """
import json, os, sys, time
def busy(seconds):
    while time.process_time() < seconds: pass
kept = bytearray(200 * 2**20)
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    busy(0.4)
    os.write(writer, b"!")
    busy(60)
    os._exit(0)
busy(0.4)
os.read(reader, 1)
print("so far so good")
print(json.dumps({"trials": 3}))
"""


def test_the_cost_of_a_run_counts_all_that_it_started(measure: ModuleType, tmp_path: Path) -> None:
    program = tmp_path / "busy.py"
    program.write_text(BUSY)
    done = script_of_measure(program, tmp_path)
    assert done["report"] == {"trials": 3}
    assert 0.7 <= done["cpu_s"] < 60  # the child, and what its orphan did until it was ended
    assert done["wall_s"] >= 0.3
    assert done["peak_mib"] >= 200


def script_of_measure(program: Path, folder: Path) -> dict[str, Any]:
    """`measured` in a process of its own, for it wants to be the only parent."""
    source = (
        "import dataclasses, json, os, pathlib, sys; import measure;"
        "cost = measure.measured([sys.executable, sys.argv[1]], pathlib.Path(sys.argv[2]),"
        " os.environ, limit_seconds=60); print(json.dumps(dataclasses.asdict(cost)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, program, folder],
        cwd=BENCHMARKS,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


def test_a_run_that_fails_says_why(measure: ModuleType, tmp_path: Path) -> None:
    program = tmp_path / "broken.py"
    program.write_text("raise SystemExit('no such luck')")
    with pytest.raises(AssertionError, match="no such luck"):
        script_of_measure(program, tmp_path)


def test_the_arithmetic_of_a_trial_is_what_torch_counts(work: ModuleType) -> None:
    task = importlib.import_module("task")
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    for workload, shape, size in (("w1", (1, 8, 8), "width"), ("w2", (1, 28, 28), "channels")):
        chosen = {size: 32, "depth": 3, "dropout": 0.1, "lr": 0.01, "optimizer": "sgd"}
        model = work.build(workload, chosen)
        x = torch.zeros(64, *shape)
        with FlopCounterMode(display=False) as counter:
            model(x).sum().backward()
        asked = task.Task(workload, Path(), 1, 1, ())
        counted = counter.get_total_flops() / 1e9
        assert task.gflop(asked, chosen, 64, 0) == pytest.approx(counted, rel=1e-6)


def test_random_configurations_lie_in_the_space(work: ModuleType) -> None:
    task = work.Task("w2", Path(), 1, 1, ())
    drawn = work.draw(task, 60)
    assert drawn == work.draw(task, 60)
    other = work.Task("w2", Path(), 1, 1, (), seed=1)
    assert not {each["lr"] for each in drawn} & {each["lr"] for each in work.draw(other, 60)}
    assert {each["channels"] for each in drawn} == {4, 8, 16}
    assert {each["depth"] for each in drawn} == {2, 3}
    assert {each["optimizer"] for each in drawn} == {"adam", "sgd", "rmsprop"}
    assert all(1e-4 <= each["lr"] <= 1e-1 and 0 <= each["dropout"] <= 0.5 for each in drawn)


def test_the_winner_s_errors_are_told_in_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    winner = importlib.import_module("winner")
    runs = [
        {"searched": 0.9, "searched_truth": 0.8, "confirmed": 0.81, "confirmed_truth": truth,
         "low": 0.79, "high": 0.83}
        for truth in (0.82, 0.85)
    ]  # fmt: skip
    told = winner.summary(runs)
    assert (told["searched_error"], told["confirmed_error"]) == (10.0, 2.5)
    assert (told["searched_bias"], told["confirmed_bias"]) == (10.0, -2.5)
    assert (told["ratio"], told["intervals_that_hold"]) == (0.25, "1 of 2")
    assert told["winner_gains"] == 3.5


def test_startup_names_every_command() -> None:
    told = json.loads(script("startup.py", "--rounds", 1))
    assert told["empty Typer program --help"]["times"] == 1
    assert all(each["ms"] > 0 for each in told.values())


def cost(wall_s: float, gflop: float, *, best: float = 0.9) -> dict[str, Any]:
    report = {"gflop": gflop, "best_valid_accuracy": best}
    return {"wall_s": wall_s, "cpu_s": 2.0, "peak_mib": 100.0, "report": report}


def test_matmul_gives_the_fraction_reached(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    line = {"about": {}, "name": "tight", "seed": 0, "cost": cost(1.0, 1.0)}
    record.write_text(json.dumps(line) + "\n")
    told = json.loads(script("matmul.py", "--seconds", 0.05, "--record", record))
    rate = max(told["gflop_s_a_core"].values())
    assert told["reached"]["tight"] == pytest.approx(0.5 / rate, abs=0.001)


def test_a_kept_run_is_found_again_and_a_torn_line_is_not(
    measure: ModuleType, tmp_path: Path
) -> None:
    kept = importlib.import_module("kept")
    path = tmp_path / "runs.jsonl"
    book, other = kept.Book(path, {"workload": "w1"}), kept.Book(path, {"workload": "w2"})
    assert book.results() == {}
    first, second = measure.Cost(**cost(1.0, 2.0)), measure.Cost(**cost(3.0, 4.0))
    book.add("tight", 0, first)
    with path.open("a") as file:
        file.write('{"about": {"workload": "w1"}, "na')
    assert book.results() == {"tight": {0: first}}
    book.add("tight", 5, second)
    other.add("tight", 0, second)
    assert book.results() == {"tight": {0: first, 5: second}}
    assert other.results() == {"tight": {0: second}}


def test_the_pace_is_compared_round_by_round(measure: ModuleType) -> None:
    table = importlib.import_module("table")
    ours = [cost(1.0, 1.0, best=0.91), cost(2.0, 4.0, best=0.97), cost(3.0, 3.0, best=0.95)]
    theirs = [cost(4.0, 2.0), cost(9.0, 3.0)]  # paces of 2 and 3 to ours of 1 and 0.5
    results = {
        name: {seed: measure.Cost(**each) for seed, each in enumerate(of)}
        for name, of in (("nnsearch", ours), ("optuna", theirs))
    }
    first, second = (line.split(" | ") for line in table.table(results, "nnsearch")[2:])
    assert first[1:3] == ["3", "2.0"]
    assert first[6:] == ["0.9500 (0.9100-0.9700)", "3", "1.00", "1.00", "1.00 |"]
    assert second[1:4] == ["2", "6.5", "2.25"]
    assert second[8] == "3.25"
    assert second[10] == "4.00 |"  # the median of 2 / 1 and 3 / 0.5


def test_the_tight_loop_trains_what_it_is_given(tmp_path: Path) -> None:
    x, y = np.ones((64, 1, 8, 8), np.float32), np.zeros(64, np.int64)
    np.savez(tmp_path / "w1.npz", x_train=x, y_train=y, x_valid=x, y_valid=y)
    (tmp_path / "w1.json").write_text(json.dumps({"train": 64, "valid": 64}))
    chosen = {"width": 32, "depth": 1, "dropout": 0.1, "lr": 0.01, "optimizer": "sgd"}
    (tmp_path / "given.json").write_text(json.dumps([chosen]))
    flags = ("--seed", 4, "--given", tmp_path / "given.json")
    told = json.loads(script("workloads/tight.py", *flags, "w1", tmp_path / "w1.npz", 9, 1))
    assert told["configurations"] == [chosen]


# The script with the packages hidden that it says it does not need.
HIDDEN = """
import runpy, sys
from importlib.machinery import PathFinder

NAMES = {"optuna", "mlflow", "sklearn", "scipy", "pandas", "pydantic", "pyarrow", "sqlalchemy"}

class Without:
    def find_spec(self, name, *rest):
        return None if name.partition(".")[0] in NAMES else PathFinder.find_spec(name, *rest)

sys.meta_path[sys.meta_path.index(PathFinder)] = Without()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_fused_needs_neither_optuna_nor_mlflow() -> None:
    options = ["--sizes", "1,2", "--epochs", "1", "--rounds", "1", "--shapes", "1"]
    script_path = str(BENCHMARKS / "fused.py")
    line = [sys.executable, "-c", HIDDEN, script_path, *options, "--optimizers", "adam"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    rows = [each.split(" | ") for each in done.stdout.splitlines() if each.startswith("| ")]
    assert [row[0] for row in rows] == ["| model", "| mlp", "| cnn"]
    for row in rows[1:]:
        shares = [float(cell.partition("(")[2].partition("%")[0]) for cell in row[3:]]
        assert len(shares) == 3
        assert all(0 < share < 100 for share in shares), "of what a product reaches"


@pytest.mark.slow
def test_nnsearch_and_the_tight_loop_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    arguments = ["--peers", "nnsearch,tight", "--trials", 3, "--epochs", 2, "--keep", path]
    text = script("run.py", *arguments, "--rounds", 1, "--first-seed", 7)
    assert "| tight PyTorch loop | 1 |" in text
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(each["name"], each["seed"]) for each in lines] == [("nnsearch", 7), ("tight", 7)]
    ours, tight = (each["cost"] for each in lines)
    assert ours["report"]["configurations"] == tight["report"]["configurations"]
    assert ours["report"]["trials"] == 3
    assert ours["cpu_s"] > 0
    assert tight["peak_mib"] > 50
    again = script("run.py", *arguments, "--rounds", 1, "--first-seed", 7)
    assert again == script("run.py", *arguments, "--rounds", 0) == text
    assert len(path.read_text().splitlines()) == 2, "nothing is run again"


@pytest.mark.slow
def test_growth_reads_the_clock_of_the_tracking_thread() -> None:
    told = json.loads(script("growth.py", "--trials", 24))
    assert told["trials"] == 24
    assert 0 < told["tracking_share_of_driver"] < 1
    assert told["first_trial_s"] < told["wall_s"]


@pytest.mark.slow
def test_target_reports_both_searchers() -> None:
    told = json.loads(script("target.py", "--seeds", 1, "--target", 0.3, "--trials", 6))
    assert told["nnsearch"]["reached"] == told["tpe"]["reached"] == "1 of 1"
    assert told["tpe"]["trials"] <= 6

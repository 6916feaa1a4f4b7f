"""Who is compared, and by which command. Knows no clock."""

from dataclasses import dataclass
from pathlib import Path

from environments import Environments

WORKLOADS = Path(__file__).resolve().parent / "workloads"

# What makes nnsearch train every trial alone.
ALONE = ("training.fuse=false",)
TRIALS = {"w1": 40, "w2": 8}
EPOCHS = {"w1": 20, "w2": 5}


@dataclass(frozen=True, slots=True)
class Contestant:
    """A script of `workloads`, the environment it runs in ("" is ours) and what it is told."""

    title: str
    script: str
    environment: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """What every contestant is given: a workload, its arrays, how much of it and the search seed.

    `given` is a file of the configurations to train, for those who shall draw none.
    """

    workload: str
    trials: int
    epochs: int
    seed: int = 0
    arrays: Path = Path()
    given: Path | None = None
    is_same: bool = False


CONTESTANTS = {
    "nnsearch": Contestant("nnsearch", "nnsearch_study.py"),
    "nnsearch-alone": Contestant("nnsearch, trials alone", "nnsearch_study.py", options=ALONE),
    "tight": Contestant("tight PyTorch loop", "tight.py"),
    "optuna": Contestant("Optuna + DataLoader + MLflow", "optuna_mlflow.py", "optuna"),
    "skorch": Contestant("skorch + RandomizedSearchCV", "skorch_random.py", "skorch"),
    "ray": Contestant("Ray Tune, as it comes", "ray_tune.py", "ray"),
    "ray-reused": Contestant("Ray Tune, actors reused", "ray_tune.py", "ray", ("reuse",)),
    "keras": Contestant("Keras Tuner on torch", "keras_tuner_bayesian.py", "keras"),
    "syne-tune": Contestant("Syne Tune, local", "syne_tune_tpe.py", "syne-tune"),
}


def command(contestant: Contestant, work: Work, environments: Environments) -> list[str]:
    """The command that does `work`; a peer that is not installed yet is installed first."""
    python = environments.python(contestant.environment)
    amount = (work.workload, str(work.arrays), str(work.trials), str(work.epochs))
    flags = ["--seed", str(work.seed), *(["--given", str(work.given)] if work.given else [])]
    return [python, str(WORKLOADS / contestant.script), *flags, *amount, *contestant.options]

"""What a trained trial costs whoever uses it. Trains nothing, and knows no constraint.

What is measured is what is exported: the transforms, the model and the decoding of its outputs, on
the CPU, whatever the trial was trained on.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from nnsearch.data.prepare import open_part
from nnsearch.models.dropout import Dropout
from nnsearch.study.folder import JobFolder
from nnsearch.study.spec import COST, TrialSpec, digest
from nnsearch.training.fit import Kept, build_model
from nnsearch.training.jobfile import Job, read_job
from nnsearch.training.material import Material

# Of the passes the median counts, so that those that were interrupted do not.
WARM_UPS, FEWEST, MOST = 5, 20, 500
MOST_SECONDS = 0.2
MILLISECONDS = 1000.0

LATENCIES_KEPT = 256
_LATENCIES: dict[str, float] = {}


def costs(
    wanted: Sequence[str],
    folder: JobFolder,
    number: int,
    kept: Kept,
    *,
    material: Material,
    seconds: float,
) -> dict[str, float]:
    """The `wanted` costs of trial `number`, under their names in events.

    `parameters` are the numbers that were trained, `size` the bytes of all floating-point numbers
    that an export holds, `latency` milliseconds for one row on one thread, and `seconds` those of
    the training.
    """
    found: dict[str, float] = {"seconds": seconds}
    if set(wanted) - {"seconds"}:
        job = read_job(folder)
        trial = next(each for each in job.trials if each.number == number)
        network = _rebuilt(trial, kept, material, job.code)
        found["parameters"] = float(sum(each.numel() for each in network[1].parameters()))
        found["size"] = float(_num_bytes(network))
        if "latency" in wanted:
            found["latency"] = _latency_on(job, trial, network)
    return {f"{COST}{name}": found[name] for name in wanted}


def _latency_on(job: Job, trial: TrialSpec, network: nn.Module) -> float:
    """The latency of a network on the job's data, measured once in a worker for each structure.

    What differs between two measurements of one structure is noise, and must not decide which of
    two trials is the faster one.
    """
    options = {key: each for key, each in trial.model.options.items() if key != "dropout"}
    key = digest([str(job.data), trial.model.name, options, _structure(network)])
    if key not in _LATENCIES:
        while len(_LATENCIES) >= LATENCIES_KEPT:
            del _LATENCIES[next(iter(_LATENCIES))]
        row = np.array(open_part(job.data, "valid").inputs[:1])
        _LATENCIES[key] = latency(network, torch.from_numpy(row))
    return _LATENCIES[key]


def _structure(network: nn.Module) -> list[tuple[str, ...]]:
    """Equal for networks that compute the same with other numbers; dropout computes nothing."""
    modules = [
        (name, type(each).__qualname__, "" if isinstance(each, Dropout) else each.extra_repr())
        for name, each in network.named_modules()
    ]
    return [*modules, *((name, str(each.shape)) for name, each in network.state_dict().items())]


def latency(network: nn.Module, row: Tensor) -> float:
    """The median milliseconds of a pass of one row [1, *shape] on one thread of the CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            for _ in range(WARM_UPS):
                network(row)
            return median(_passes(network, row)) * MILLISECONDS
    finally:
        torch.set_num_threads(before)


def _passes(network: nn.Module, row: Tensor) -> list[float]:
    taken: list[float] = []
    begun = time.perf_counter()
    while len(taken) < MOST:
        start = time.perf_counter()
        network(row)
        now = time.perf_counter()
        taken.append(now - start)
        if len(taken) >= FEWEST and now - begun > MOST_SECONDS:
            break
    return taken


def _rebuilt(trial: TrialSpec, kept: Kept, material: Material, code: Path) -> nn.Sequential:
    """Transforms, model and decoding on the CPU, in evaluation mode, with the weights kept."""
    like = replace(material, train=material.train[:1].cpu())
    model = build_model(trial, like, code)
    model.load_state_dict({name: each.cpu() for name, each in kept.weights.items()})
    return nn.Sequential(material.transforms, model, material.task.decode).eval()


def _num_bytes(network: nn.Module) -> int:
    tensors = network.state_dict().values()
    return sum(each.numel() * each.element_size() for each in tensors if each.is_floating_point())

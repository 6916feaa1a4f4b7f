"""What is free on this machine, and that a step stays on the device it was given."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from company import MODELS, Materials, trials_of
from lessons import Classroom, classroom

from nnsearch.optim.stacked import RULES
from nnsearch.study.spec import Component, TrialSpec
from nnsearch.training import devices
from nnsearch.training.group import make_group
from nnsearch.training.group_epoch import take_step
from nnsearch.training.group_inputs import gather, spread
from nnsearch.training.material import Material


def test_this_machine_tells_what_is_free() -> None:
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 2**20 < devices.free(torch.device("cpu")) <= 2 * whole


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        ("0::/", {}, 3 << 10),
        ("0::/a/b\n", {"a/memory.max": "2000", "a/memory.current": "1500"}, 500),
        ("0::/a/b\n", {"a/memory.max": "max", "a/memory.current": "1500"}, 3 << 10),
        (
            "0::/a\n",
            {
                "a/memory.max": "2000",
                "a/memory.current": "1500",
                "a/memory.stat": "inactive_file 7",
            },
            507,
        ),
        (
            "5:cpu:/x\n4:memory:/x\n0::/\n",
            {
                "memory/memory.limit_in_bytes": "900",
                "memory/memory.usage_in_bytes": "100",
                "memory/memory.stat": "cache 5\ntotal_inactive_file 10\n",
            },
            810,
        ),
    ],
)
def test_the_least_of_the_kernels_limits_counts(
    tmp_path: Path, cgroup: str, files: dict[str, str], expected: int
) -> None:
    proc, groups = tmp_path / "proc", tmp_path / "groups"
    told = {"self/cgroup": cgroup, "meminfo": "MemTotal: 9 kB\nMemAvailable: 2 kB\nSwapFree: 1 kB"}
    for root, some in ((proc, told), (groups, files)):
        for name, text in some.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    assert devices.available(proc, groups) == expected


def test_where_nothing_says_so_there_is_no_limit(tmp_path: Path) -> None:
    assert devices.available(tmp_path, tmp_path) == float("inf")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    return classroom(tmp_path_factory.mktemp("digits"))


@pytest.mark.parametrize("model", MODELS)
def test_a_step_makes_nothing_on_the_cpu_that_a_gpu_would_miss(
    digits: Classroom, model: str
) -> None:
    """On a device without memory, for which what lies on a CPU is as strange as for a GPU."""
    changes: list[dict[str, Any]] = [{"optimizer": Component(name)} for name in RULES]
    limits = {"training__l1": 0.1, "training__clip_norm": 1.0, "training__clip_value": 0.1}
    common = {"model": MODELS[model], "training__average": "ema", **limits}
    if "residual" not in model and model != "linear":
        common["model__dropout"] = 0.3
    materials = Materials(digits, torch.float32)

    def nowhere(trial: TrialSpec) -> Material:
        found = materials(trial)
        names = ("train", "train_targets", "valid", "valid_targets")
        moved: dict[str, Any] = {name: getattr(found, name).to("meta") for name in names}
        return replace(found, **moved)

    group = make_group(trials_of(digits, changes, **common), nowhere, digits.code)
    rows = torch.zeros((1, len(RULES), 16), dtype=torch.int64, device="meta")
    group.masks.begin(range(len(RULES)), 1)
    for count in (1, 2):
        group.masks.expect(1)
        losses = take_step(group, [(gather(group, rows)[0], rows[0])], 16)
        for part in group.parts:
            part.step([0.1] * len(RULES), count)
    group.mode.is_training = False
    outputs = group.net.forward(spread(group, group.material.valid))
    assert {each.device.type for each in (losses, outputs, group.weights.values)} == {"meta"}

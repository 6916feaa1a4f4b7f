"""Which device is meant, how exactly it computes, and how much of its memory is free.

Knows not what is trained there.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

# A control group's files: its limit, what it uses, and which line of memory.stat can be given back;
# of the second version first, then of the first.
_NAMES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def device_of(wanted: str) -> str:
    """The device that `training.device` means: "auto" is a GPU where there is one.

    float32 on a GPU is then what it says, also in convolutions, and equal work gives equal bits.
    """
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when it is first used
        cudnn: Any = torch.backends.cudnn
        cudnn.deterministic = True
        cudnn.conv.fp32_precision = cudnn.rnn.fp32_precision = "ieee"  # not TF32, torch's choice
    return wanted


def free(device: torch.device) -> float:
    """How many bytes this process can still get on a device; infinite where nothing says so."""
    if device.type == "cpu":
        return available()
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return float(torch.cuda.mem_get_info(device)[0] + kept)


def available(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> float:
    """The least of what the kernel can give and what this process's control groups leave it."""
    found = _numbers(proc / "meminfo", ":")
    kernel = [sum(1024 * found.get(name, 0) for name in ("MemAvailable", "SwapFree"))]
    left = [*kernel[: "MemAvailable" in found], *_left_in_groups(proc, groups)]
    return min(map(float, left), default=float("inf"))


def _left_in_groups(proc: Path, root: Path) -> Iterator[float]:
    """What each control group above this process leaves it, of those that have a limit."""
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        names = _NAMES[bool(kinds)]
        place = root / ("memory" if kinds else "") / path.lstrip("/")
        for folder in (place, *place.parents):
            if folder.is_relative_to(root):
                yield from _left(folder, *names)


def _left(folder: Path, limit: str, used: str, spare: str) -> Iterator[float]:
    try:
        most, taken = ((folder / name).read_text().strip() for name in (limit, used))
    except OSError:
        return
    if most != "max":
        # Pages of files that nobody has asked for lately make room.
        yield float(most) - float(taken) + _numbers(folder / "memory.stat", " ").get(spare, 0)


def _numbers(path: Path, mark: str) -> dict[str, int]:
    """The whole numbers in a file of a name and a number a line; none where there is no file."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    parts = (line.partition(mark) for line in lines)
    return {name: int(rest.split()[0]) for name, _, rest in parts if rest.strip()}

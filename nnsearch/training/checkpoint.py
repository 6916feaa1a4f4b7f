"""Checkpoints that survive a kill at any moment. Knows nothing of what is in them.

A checkpoint is a file of tensors and plain values with its sha256 beside it; the one before is
kept. `torch.load` takes a file with a flipped bit without a word, so the hash decides.
"""

from pathlib import Path
from typing import Any

import torch

from nnsearch.study.folder import sha256_of, write_whole


def save(path: Path, state: dict[str, Any]) -> str:
    """Write a checkpoint, keep the one before as `<name>.before`, and return the sha256."""
    before = path.with_name(path.name + ".before")
    if path.exists() and _digest(path).exists():
        _digest(path).replace(_digest(before))
        path.replace(before)
    sha256 = write_tensors(path, state)
    write_whole(_digest(path), lambda temporary: temporary.write_text(sha256))
    return sha256


def write_tensors(path: Path, state: dict[str, Any]) -> str:
    """Write tensors and plain values whole; equal values give equal bytes. Returns the sha256."""

    def write(temporary: Path) -> None:
        # Given a name, torch.save would write it into the file.
        with temporary.open("wb") as file:
            torch.save(state, file)

    return write_whole(path, write)


def load(path: Path) -> dict[str, Any] | None:
    """The newest checkpoint whose hash is right, or None where there is none."""
    for candidate in (path, path.with_name(path.name + ".before")):
        if not candidate.exists() or not _digest(candidate).exists():
            continue
        if sha256_of(candidate) == _digest(candidate).read_text():
            state: dict[str, Any] = torch.load(candidate, weights_only=True, map_location="cpu")
            return state
    return None


def remove(path: Path) -> None:
    """Delete a checkpoint and the one before: the trial is over."""
    for each in (path, path.with_name(path.name + ".before")):
        each.unlink(missing_ok=True)
        _digest(each).unlink(missing_ok=True)


def _digest(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")

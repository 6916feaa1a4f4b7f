"""The weights that a trial begins with, which of its layers learn, and how fast.

Knows no data, no loss and no other trial.
"""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nnsearch.errors import UsageError
from nnsearch.study.starts import start_file
from nnsearch.training.averages import BATCH_NORMS
from nnsearch.training.recipe import Start

# Under these names a file may keep the model's weights beside other things.
HOLDERS = ("model", "state_dict")
MOST_NAMED = 4


class Fit(NamedTuple):
    """What of a model's state is in a file with the same shapes, and a line for each other layer.

    A layer is taken over whole or not at all.
    """

    taken: tuple[str, ...]
    left: tuple[str, ...]


def read_weights(value: str, code: Path) -> dict[str, Tensor]:
    """The state dict in the file that `training.start` means, for a study of the folder `code`.

    Nothing but tensors and plain values is loaded. Raises UsageError where the file is missing, is
    not the one that the study began with, or holds no state dict.
    """
    file, sha256 = start_file(code, value)
    content = file.read_bytes()
    if not hashlib.sha256(content).hexdigest().startswith(sha256):
        message = f"{file} is not the file that the study began with: its sha256 is another."
        raise UsageError(message, "Put the old one back.")
    hint = "Give a state dict that torch.save wrote."
    try:
        found: Any = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:  # whatever the damage, or the code that it wants to run, makes of it
        reason = (str(error).splitlines() or [""])[0][:200]
        message = f"{file} holds no weights: {type(error).__name__}: {reason}"
        raise UsageError(message, hint) from error
    for holder in HOLDERS:
        if isinstance(found, dict) and isinstance(found.get(holder), dict):
            found = found[holder]
    is_state = isinstance(found, dict) and found
    if not is_state or not all(isinstance(each, Tensor) for each in found.values()):
        raise UsageError(f"{file} holds no state dict, a name and a tensor each.", hint)
    return dict(found)


def compared(model: nn.Module, weights: Mapping[str, Tensor]) -> Fit:
    """What of the model is in `weights` by the same name and shape; the model may be on no device.

    Raises UsageError where there is nothing, with a shape of each.
    """
    own = {name: tuple(each.shape) for name, each in model.state_dict().items()}
    learned = dict(model.named_parameters())
    layers: dict[str, list[str]] = {}
    for name in own:
        layers.setdefault(name.rpartition(".")[0], []).append(name)
    taken, left = [], []
    for names in layers.values():
        strange = [each for each in names if _shape(weights, each) != own[each]]
        if not strange:
            taken += names
            continue
        name = strange[0]
        there = f"{list(weights[name].shape)} in the file" if name in weights else "not in the file"
        left.append(f"{name} is {there}, {list(own[name])} here")
    if not any(name in learned for name in taken):
        theirs = ", ".join(f"{name} {list(each.shape)}" for name, each in _some(weights))
        ours = ", ".join(f"{name} {list(each.shape)}" for name, each in _some(learned))
        message = f"no layer of the file fits: it has {theirs}; the model has {ours}."
        raise UsageError(f"training.start: {message}", "Give the model the same options.")
    return Fit(tuple(taken), tuple(left))


def begin(model: nn.Module, start: Start, code: Path) -> None:
    """Put the weights of the trial's file, where it has one, in the place of those it drew."""
    if not start.path:
        return
    weights = read_weights(start.path, code)
    head = set(map(id, by_depth(model)[0])) if start.new_head else set()
    drawn = {name for name, each in model.named_parameters() if id(each) in head}
    state = model.state_dict()
    with torch.no_grad():
        for name in compared(model, weights).taken:
            if name not in drawn:
                state[name].copy_(weights[name])


def by_depth(model: nn.Module) -> list[list[nn.Parameter]]:
    """The parameters of each layer, the head's first.

    A module whose own parameters are vectors, such as a norm, belongs to the layer before it.
    """
    layers: list[list[nn.Parameter]] = []
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if not own:
            continue
        if not layers or any(each.dim() > 1 for each in own):
            layers.append([])
        layers[-1] += own
    return layers[::-1]


def parameters(model: nn.Module, start: Start) -> Any:
    """What the optimizer is made of: all parameters, or a group a layer, the head's first."""
    if start.rate_by_depth == 1:
        return model.parameters()
    return [{"params": each} for each in by_depth(model)]


def slow_down(optimizer: torch.optim.Optimizer, start: Start) -> None:
    """Lower the rates of an optimizer of `parameters`, layer by layer."""
    if start.rate_by_depth < 1:
        for depth, group in enumerate(optimizer.param_groups):
            group["lr"] *= start.rate_by_depth**depth


def set_learning(model: nn.Module, start: Start, epoch: int) -> None:
    """Let the layers learn that do in this epoch; the model is in training mode."""
    if not start.freeze:
        return
    is_frozen = not start.unfreeze_after or epoch <= start.unfreeze_after
    for layer in by_depth(model)[1:]:
        for each in layer:
            each.requires_grad_(not is_frozen)
    for module in model.modules():
        if isinstance(module, BATCH_NORMS) and not all(
            each.requires_grad for each in module.parameters()
        ):
            module.eval()


def _shape(weights: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(weights[name].shape) if name in weights else None


def _some(named: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
    return list(named.items())[:MOST_NAMED]

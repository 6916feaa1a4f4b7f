"""How much memory a group will take at its peak.

What a group keeps is counted, whatever its layers are: one of its trials makes a step with two rows
and another with four. Both go through the same moments, and what has grown between them at one of
those grows with each further row. Knows no file, and not what becomes of a group that is too large.
"""

import weakref
from collections.abc import Iterable, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from nnsearch.optim import stacked
from nnsearch.study.spec import TrialSpec
from nnsearch.training.devices import free
from nnsearch.training.fit import build_model
from nnsearch.training.group import Group, make_group, resolved
from nnsearch.training.group_epoch import judged_at_once, rows_at_once, take_step
from nnsearch.training.group_inputs import gather
from nnsearch.training.material import Material, MaterialOf
from nnsearch.training.recipe import recipe
from nnsearch.training.steps import steps

FEW, MORE = 2, 4  # rows
NUM_AXES = 4  # of images, and of the weights of a convolution
ASIDE = 2**26  # what the kernels take for themselves, and rows that are gathered ahead
ARRAYS = 16  # like the weights, at the most
KEPT = 16  # values for each that a layer gives, at the most
FILLED = 0.9  # of what is free; the rest is lost between blocks

# What the errors say that are no MemoryError: torch's own on a CPU, and the libraries on a GPU.
_TEXTS = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")


def refuse_too_large(trials: Sequence[TrialSpec], material_of: MaterialOf, code: Path) -> None:
    """Raise MemoryError where the trials will not find the memory to train together.

    On a GPU a lone trial may try: what is too much there is an error and kills nobody. Raises
    NotStackableError where a trial has no stacked form.
    """
    material = material_of(trials[0])  # resident from now on, if it was not
    device = material.train.device
    if len(trials) == 1 and device.type != "cpu":
        return
    there = FILLED * free(device)
    if most(trials, material, code) < there:
        return
    need = needed(trials, material_of, code)
    if need > there:
        who = f"{len(trials)} trials together" if len(trials) > 1 else "the trial"
        raise MemoryError(
            f"{who} will take about {_gib(need)} of memory on {device}, where {_gib(there)} may be "
            "filled: smaller batches and fewer workers need less"
        )


def most(trials: Sequence[TrialSpec], material: Material, code: Path) -> int:
    """More bytes than the trials can take together beside the data, found at once.

    A layer gives as many values of a row as its weights have rows, or times the pixels of an image.
    """
    shapes = [each.shape for each in build_model(trials[0], material, code).parameters()]
    inputs = material.train[0].numel()
    pixels = {NUM_AXES: inputs // material.train.shape[1]}
    of_row = inputs + sum(each[0] * pixels.get(len(each), 1) for each in shapes if len(each) > 1)
    rows = recipe(**trials[0].training.options).batch_size + 2
    judged = judged_at_once(material.valid, is_image=any(len(each) == NUM_AXES for each in shapes))
    outputs = 4 * len(material.valid) * (material.task.outputs or inputs)
    of_trial = ARRAYS * sum(map(prod, shapes)) + outputs + 4 * len(material.train)
    values = len(trials) * of_trial + KEPT * of_row * (len(trials) * rows + judged)
    return ASIDE + material.train.element_size() * values


def needed(trials: Sequence[TrialSpec], material_of: MaterialOf, code: Path) -> int:
    """About how many bytes the trials will take together at most, beside the data."""
    sample = max(trials, key=lambda each: float(each.model.options.get("dropout", 0.0)))
    group = make_group([sample], material_of, code)
    chosen, material, size = group.members[0].recipe, group.material, len(trials)
    slices = [each for some in steps(len(material.train), chosen) for each in some]
    rows = max(each.stop - each.start for each in slices)
    pairs = list(zip(_moments(group, FEW), _moments(group, MORE), strict=True))
    of_row = max((more - few) / (MORE - FEW) for few, more in pairs)
    of_step = max(few + (rows - FEW) * (more - few) / (MORE - FEW) for few, more in pairs)
    judged = min(len(material.valid), rows_at_once(group, size))
    # Of the outputs: in parts, whole, decoded, and of the best epoch.
    outputs = 4 * len(material.valid) * (material.task.outputs or material.train[0].numel())
    orders = 2 * 8 * len(material.train)
    item = group.weights.values.element_size()
    of_trial = of_step + judged * of_row + item * outputs + orders + _lasting(group, trials)
    return int(size * of_trial) + ASIDE


def is_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has run out, of whatever device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(each in str(error) for each in _TEXTS)


class _Watch(TorchFunctionMode):
    """Notes, after each function of torch, the bytes alive of all that such functions made.

    A TorchDispatchMode would see every kernel, but imports torch's compiler: two seconds.
    """

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__()
        self.known = {each.untyped_storage().data_ptr() for each in known}
        self.alive: dict[int, weakref.ref[Any]] = {}
        self.num_bytes = 0
        self.moments: list[int] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, tuple | list) else (result,):
            if isinstance(each, Tensor):
                self._add(each.untyped_storage())
        self.moments.append(self.num_bytes)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        place, size = storage.data_ptr(), storage.nbytes()
        if place not in self.known and place not in self.alive:
            self.num_bytes += size
            self.alive[place] = weakref.ref(storage, partial(self._forget, place, size))

    def _forget(self, place: int, size: int, _: object) -> None:
        self.num_bytes -= size
        del self.alive[place]


def _moments(group: Group, num_rows: int) -> list[int]:
    """Bytes beside the weights and the data throughout a step of a lone trial of so many rows."""
    material, weights = group.material, group.weights
    states = [each for part in group.parts for each in part.rows.state.values()]
    resident = [material.train, material.train_targets, material.valid, material.valid_targets]
    known = [*resident, weights.values, weights.grads, weights.buffers, *states]
    places = torch.arange(num_rows, device=material.train.device) % len(material.train)
    group.masks.begin([0], 1)
    group.masks.expect(1)
    watch = _Watch(known)
    with watch:
        inputs = gather(group, places[None, None])[0]
        take_step(group, [(inputs, places[None])], num_rows)
        for part in group.parts:
            part.step([0.0], 1)
    return watch.moments


def _lasting(group: Group, trials: Sequence[TrialSpec]) -> int:
    """Bytes of a trial's weights, gradients and best epoch, of its means, and of its optimizer."""
    values, num_arrays = group.weights.values, 3
    if any(each.training.options.get("average", "none") != "none" for each in trials):
        num_arrays += 2  # and the weights, while the means stand in their place
    given = [stacked.collect([resolved(each.optimizer)], values) for each in trials]
    num_arrays += max(
        len(stacked.RULES[each.optimizer.name].remembers(options))
        for each, options in zip(trials, given, strict=True)
    )
    return values.element_size() * (num_arrays * values.numel() + 2 * group.weights.buffers.numel())


def _gib(num_bytes: float) -> str:
    return f"{num_bytes / 2**30:.2f} GiB"

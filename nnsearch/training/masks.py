"""The dropout masks of K trials, each from its trial's own streams. Knows no network.

Shape suffixes: K trials, S steps, C values of one trial in one step.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nnsearch.models.dropout import Stream, draws, scale, stream, threshold

AT_ONCE = 2**18  # values of all trials, to stay in a core's cache


class Masks:
    """What `models.stacked` asks for a mask at each step of an epoch.

    `rates` has a row for each trial and a column for each dropout layer; `like` is a tensor of the
    type that masks are multiplied with.
    """

    def __init__(self, rates: Sequence[Sequence[float]], like: Tensor) -> None:
        self.rates = rates
        self.like = like
        by_layer = list(zip(*rates, strict=True))
        self.thresholds = [[np.int16(threshold(rate)) for rate in each] for each in by_layer]
        self.scales = [like.new_tensor([scale(rate) for rate in each]) for each in by_layer]
        self.is_on = [any(each) for each in by_layer]
        self.streams: list[list[Stream]] = []
        self.steps_left = [0] * len(by_layer)
        self.ready: list[list[Tensor]] = [[] for _ in by_layer]

    def begin(self, seeds: Sequence[int], epoch: int) -> None:
        """Start the streams of an epoch."""
        layers = range(len(self.is_on))
        self.streams = [[stream(seed, epoch, layer) for seed in seeds] for layer in layers]

    def expect(self, num_steps: int) -> None:
        """As many steps of equal size follow; every mask of the steps before was taken."""
        self.steps_left = [num_steps] * len(self.is_on)

    def take(self, layer: int, count: int) -> Tensor | None:
        """The next mask [K, C] of a layer, scaled; None where no trial drops anything there."""
        if not self.is_on[layer]:
            return None
        if not self.ready[layer]:
            at_most = max(1, AT_ONCE // (count * len(self.rates)))
            num_steps = min(self.steps_left[layer], at_most)
            self.steps_left[layer] -= num_steps
            self.ready[layer] = list(self._draw(layer, num_steps, count).unbind())[::-1]
        return self.ready[layer].pop()

    def _draw(self, layer: int, num_steps: int, count: int) -> Tensor:
        by_trial = zip(self.streams[layer], self.thresholds[layer], strict=True)
        is_kept = np.stack([draws(each, num_steps, count) >= least for each, least in by_trial])
        # As numbers: torch turns truth values into floats several times slower. To a GPU as bytes,
        # and without waiting for what it still has to do.
        sent = torch.from_numpy(is_kept.view(np.int8)).to(self.like.device, non_blocking=True)
        masks_KSC = sent.to(self.like.dtype)
        return masks_KSC.mul_(self.scales[layer][:, None, None]).transpose(0, 1)

"""Muon for hidden matrices beside AdamW for the rest. Knows no model, schedule or training."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from nnsearch.components import NonNegative, Positive, Unit
from nnsearch.errors import UsageError

NUM_AXES = 2


class Several(torch.optim.Optimizer):
    """Optimizers of different parameters as one; each keeps its own state."""

    def __init__(self, parts: list[torch.optim.Optimizer]) -> None:
        self.parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})

    def step(self, closure: Any = None) -> Any:
        """A step of each; a loss that `closure` would work out anew is not asked for."""
        del closure
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """What each has to remember."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        # Loading puts new groups in the place of those that a schedule would set the rates of.
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def muon(
    params: Iterable[nn.Parameter],
    *,
    lr: Positive = 1e-3,
    weight_decay: NonNegative = 0.01,
    momentum: Unit = 0.95,
    nesterov: bool = True,
    beta1: Unit = 0.9,
    beta2: Unit = 0.999,
) -> torch.optim.Optimizer:
    """Muon (Jordan et al., 2024) for hidden matrices: their momentum, made nearly orthogonal.

    The first matrix, which reads the inputs, the last, which is the head, and what is no matrix,
    such as biases, norms and convolutions, learn by AdamW with `beta1` and `beta2`. The rates of
    matrices are scaled so that one `lr` and one `weight_decay` serve both (Liu et al., Muon is
    Scalable for LLM Training, 2025). Trials with it are alone. Raises UsageError for parameters in
    groups, as `rate_by_depth` has them.
    """
    given = list(params)
    if any(isinstance(each, dict) for each in given):
        raise UsageError("rate_by_depth in [training] is not for 'muon'.", "Leave it out.")
    matrices = [each for each in given if each.dim() == NUM_AXES][1:-1]
    chosen = set(map(id, matrices))
    others = [each for each in given if id(each) not in chosen]
    parts: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(
            others, lr=lr, betas=(beta1, beta2), weight_decay=weight_decay, fused=True
        )
    ]
    if matrices:
        parts.append(
            torch.optim.Muon(
                matrices,
                lr=lr,
                weight_decay=weight_decay,
                momentum=momentum,
                nesterov=nesterov,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return Several(parts)

"""The model that ignores its input: what every other has to beat. Knows no task."""

import torch
from torch import Tensor, nn

from nnsearch.models.layers import Shape


class Constant(nn.Module):
    """`outputs` learned numbers, the same for every example."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """[B, ...] to [B, outputs]."""
        # A copy: a view of a weight would carry its gradient out of evaluation.
        return self.values.expand(x.shape[0], -1).clone()


def constant(inputs: Shape, outputs: int) -> nn.Module:
    """The same `outputs` numbers whatever the input: [B, *inputs] to [B, outputs].

    With a classification it learns how frequent the classes are, with a regression the mean, and
    as an autoencoder how far each example is from the mean.
    """
    del inputs
    return Constant(outputs)

"""Every random draw of a trial from its seed, afresh each epoch. Knows no training.

As each epoch draws from its own generator, a trial that goes on from a checkpoint draws what it
would have drawn without the break: no generator's state has to be stored.
"""

import torch
from torch import nn

from nnsearch.models.dropout import Dropout
from nnsearch.study.spec import derived_seed


def seed_weights(seed: int) -> None:
    """Seed torch before a model is built, so that a trial's first weights are its own."""
    torch.manual_seed(derived_seed(seed, "weights"))


def seed_epoch(model: nn.Module, seed: int, epoch: int) -> None:
    """Seed what a model draws in an epoch: it depends on the trial and the epoch alone.

    torch's generator is for modules of the user's own; our dropouts have streams of their own.
    """
    torch.manual_seed(derived_seed(seed, "epoch", epoch))
    for layer, each in enumerate(dropouts(model)):
        each.begin(seed, epoch, layer)


def dropouts(model: nn.Module) -> list[Dropout]:
    """The model's dropouts, in the order in which their streams are numbered."""
    return [each for each in model.modules() if isinstance(each, Dropout)]

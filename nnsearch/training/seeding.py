"""Every random draw of a trial from its seed, afresh each epoch. Knows nothing of models.

As each epoch draws from its own generator, a trial that goes on from a checkpoint draws what it
would have drawn without the break: no generator's state has to be stored.
"""

import torch

from nnsearch.study.spec import derived_seed


def seed_weights(seed: int) -> None:
    """Seed torch before a model is built, so that a trial's first weights are its own."""
    torch.manual_seed(derived_seed(seed, "weights"))


def seed_epoch(seed: int, epoch: int) -> None:
    """Seed torch before an epoch: dropout depends on the trial and the epoch alone."""
    torch.manual_seed(derived_seed(seed, "epoch", epoch))

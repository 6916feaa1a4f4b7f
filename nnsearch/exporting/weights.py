"""The trained network of an export as a state dict, for another study to begin with.

Knows no format that predicts.
"""

from pathlib import Path

import torch
from torch import nn

from nnsearch.exporting.predictor import Predictor
from nnsearch.study.folder import EXPORTED_WEIGHTS, write_whole


def write_weights(predictor: nn.Module, folder: Path) -> None:
    """Write the weights of a predictor's model; of another module nothing, for it has no model."""
    if not isinstance(predictor, Predictor):
        return

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:  # given a name, torch.save would write it into the file
            torch.save({"model": predictor.model.state_dict()}, file)

    write_whole(folder / EXPORTED_WEIGHTS, write)

"""The thing that is exported and served. Knows no task, no training and no file."""

from torch import Tensor, nn


class Predictor(nn.Module):
    """Transforms, model and decoding in a row: raw inputs in, predictions out.

    `forward` takes raw rows [B, *shape] as the source has them (tables float64, images uint8 or
    float32) and returns predictions [B, P]: one probability a class, or P = 1 number in the
    target's unit. Making one puts all three parts into evaluation mode, where dropout does nothing
    and batch norm uses what it saw in training; the parts are held, not copied.
    """

    def __init__(self, transforms: nn.Module, model: nn.Module, decode: nn.Module) -> None:
        super().__init__()
        self.transforms = transforms
        self.model = model
        self.decode = decode
        self.eval()

    def forward(self, inputs: Tensor) -> Tensor:
        """Raw inputs [B, *shape] to predictions [B, P]."""
        predictions: Tensor = self.decode(self.model(self.transforms(inputs)))
        return predictions

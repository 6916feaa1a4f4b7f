"""What networks of images share: sizes from level to level, and how images lie in memory.

Knows no network and no training.
"""

from torch import Tensor

from nnsearch.errors import UsageError
from nnsearch.models.layers import Shape

NUM_IMAGE_AXES = 3
SMALLEST_SIDE = 2


def halved_sides(
    inputs: Shape, depth: int, model: str, *, hint: str, rounds_up: bool = True
) -> list[tuple[int, int]]:
    """Height and width of an image, and after each of `depth` halvings.

    An odd side is rounded up, as a convolution of stride 2 does, or down, as pooling does. Raises
    UsageError, in the name of `model`, where the inputs are no images, with `hint`, and where they
    are too small.
    """
    if len(inputs) != NUM_IMAGE_AXES:
        message = f"the model '{model}' needs images [channels, height, width], not shape"
        raise UsageError(f"{message} {tuple(inputs)}.", hint)
    sides = [(inputs[1], inputs[2])]
    for level in range(depth):
        height, width = sides[-1]
        if min(height, width) < SMALLEST_SIDE:
            raise UsageError(
                f"depth = {depth} of the model '{model}' halves an image of "
                f"{inputs[1]} x {inputs[2]} pixels until nothing is left.",
                f"Set depth to {level} at the most.",
            )
        odd = 1 if rounds_up else 0
        sides.append(((height + odd) // 2, (width + odd) // 2))
    return sides


def channels_last(images: Tensor) -> Tensor:
    """The same images [N, C, H, W] with the channels last in memory, and strides that say so.

    torch's own `contiguous` leaves the strides of images of one channel as they are, for both
    layouts are the same bytes; its convolutions then take the strides for channels that come first,
    and all layers behind them run through kernels that are several times slower.
    """
    num_channels, height, width = images.shape[1:]
    lying = images.permute(0, 2, 3, 1).contiguous()
    strides = (height * width * num_channels, 1, width * num_channels, num_channels)
    return lying.as_strided(images.shape, strides)

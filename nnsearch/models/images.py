"""What networks of images share: sizes from level to level. Knows no network and no training."""

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

"""An example image as a small PNG. Knows no study and no file."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_GREY, _COLOURS = 1, 3
_MOST_PIXELS = 160
_BYTE = 255.0


def png_of(pixels: NDArray[Any], *, top: float = 255.0) -> bytes:
    """The PNG of an image [C, H, W]; bytes from 0 to `top`, other numbers between their own ends.

    Three channels are red, green and blue; of any other number the first is shown in grey. At most
    160 pixels wide and high: every so many are taken.
    """
    shown = pixels if pixels.shape[0] == _COLOURS else pixels[:_GREY]
    every = -(-max(shown.shape[1:]) // _MOST_PIXELS)
    shown = np.moveaxis(shown[:, ::every, ::every], 0, -1)
    if shown.dtype == np.uint8:
        shown = np.round(np.minimum(shown * (_BYTE / top), _BYTE)).astype(np.uint8)
    else:
        numbers = np.nan_to_num(shown.astype(np.float64))
        low, high = numbers.min(), numbers.max()
        numbers = (numbers - low) / (high - low) if high > low else np.zeros_like(numbers)
        shown = np.round(numbers * _BYTE).astype(np.uint8)
    file = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(shown[..., 0] if shown.shape[-1] == 1 else shown))
    image.save(file, "PNG", optimize=True)
    return file.getvalue()

"""An example image as a small PNG. Knows no study and no file."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_GREY, _COLOURS = 1, 3
_MOST_PIXELS = 160
_BYTE = 255.0
# Okabe and Ito's orange and a light blue, which everybody can tell apart, on a dark picture.
_FOR, _AGAINST = (240.0, 140.0, 20.0), (70.0, 170.0, 240.0)
_PALE, _FULL = 0.45, 0.99


def png_of(pixels: NDArray[Any], *, top: float = 255.0) -> bytes:
    """The PNG of an image [C, H, W]; bytes from 0 to `top`, other numbers between their own ends.

    Three channels are red, green and blue; of any other number the first is shown in grey. At most
    160 pixels wide and high: every so many are taken.
    """
    shown = _bytes(pixels, top)
    return _png(shown[..., 0] if shown.shape[-1] == 1 else shown)


def heat_of(pixels: NDArray[Any], weights: NDArray[Any], *, top: float = 255.0) -> bytes:
    """The PNG of an image [C, H, W], pale, under what each pixel weighs [H, W].

    What speaks for the answer is orange, what speaks against it blue, the heaviest full.
    """
    grey = _bytes(pixels, top).mean(axis=-1, keepdims=True) * _PALE
    every = -(-max(pixels.shape[1:]) // _MOST_PIXELS)
    shown = np.asarray(weights, np.float64)[::every, ::every]
    most = float(np.quantile(np.abs(shown), _FULL)) or float(np.abs(shown).max()) or 1.0
    depth = np.clip(np.abs(shown) / most, 0, 1)[..., None]
    colour = np.where((shown > 0)[..., None], _FOR, _AGAINST)
    return _png(np.round(grey * (1 - depth) + colour * depth).astype(np.uint8))


def _bytes(pixels: NDArray[Any], top: float) -> NDArray[np.uint8]:
    """The pixels that are shown [H, W, 1 or 3], from 0 to 255."""
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
    whole: NDArray[np.uint8] = shown
    return whole


def _png(shown: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(shown)).save(file, "PNG", optimize=True)
    return file.getvalue()

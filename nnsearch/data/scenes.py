"""Scenes made of scikit-learn's digits: two in an image, with the class of each pixel.

Reads no file of the user's.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from nnsearch.data.bundled import digits
from nnsearch.data.examples import Examples
from nnsearch.signature import Signature

SIDE, DIGIT = 20, 8
WHITE = 16
NUM_CLASSES = 3


def digit_scenes(_root: Path, *, noise: Annotated[int, Ge(0), Le(16)] = 4) -> Examples:
    """898 scenes: uint8 images [1, 20, 20] of values 0 to 16, masks [20, 20] of three classes.

    A scene holds two of scikit-learn's digits at places that a fixed seed draws, on a background
    of random grey below `noise`. A pixel is of class 1 where an even digit is brighter than a
    quarter of white there, of class 2 where an odd one is, and else 0. Each digit is in one scene,
    so that no split knows another's.
    """
    drawn = digits(_root)
    generator = np.random.default_rng(0)
    order = generator.permutation(drawn.num_rows)
    pairs = order[: drawn.num_rows // 2 * 2].reshape(-1, 2)
    images = generator.integers(0, noise + 1, (len(pairs), SIDE, SIDE))
    masks = np.zeros((len(pairs), SIDE, SIDE), dtype=np.int64)
    for place, pair in enumerate(pairs):
        # One in the left half and one in the right: they may touch, and never overlap.
        for start, row in zip((0, SIDE // 2), pair.tolist(), strict=True):
            top, left = generator.integers(0, (SIDE - DIGIT + 1, SIDE // 2 - DIGIT + 1))
            window = np.s_[place, top : top + DIGIT, start + left : start + left + DIGIT]
            pixels = drawn.inputs[row, 0].astype(np.int64)
            images[window] = np.maximum(images[window], pixels)
            parity = 1 + int(drawn.targets[row]) % 2
            masks[window] = np.where(pixels > WHITE // 4, parity, masks[window])
    signature = Signature("image", (1, SIDE, SIDE), "uint8", "class of each pixel")
    return Examples(images.astype(np.uint8)[:, None], masks, signature)

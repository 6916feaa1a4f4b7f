"""The files of SVHN, which are MATLAB's, and of STL-10, which are bare bytes.

Knows no folder and no split.
"""

from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnsearch.data.examples import Array
from nnsearch.errors import DataError, Problem

Images = npt.NDArray[np.uint8]

OF_SVHN = (32, 32, 3)
OF_STL10 = (3, 96, 96)
NUM_CLASSES = 10


def read_svhn(file: Path, shown: str) -> tuple[Images, Array]:
    """Images uint8 [N, 3, 32, 32] and their digits int64 [N], of which the file calls the 0 a 10.

    Raises DataError where the file holds something else.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(file, variable_names=("X", "y"))
        pixels, digits = np.asarray(content["X"]), np.asarray(content["y"]).ravel()
    except Exception as error:  # what loadmat raises of a broken file is no one kind
        raise _broken(shown, f"is no file of SVHN ({str(error)[:120]})") from error
    # Of a single image MATLAB writes no fourth axis.
    pixels = pixels[..., None] if pixels.shape == OF_SVHN else pixels
    if pixels.dtype != np.uint8 or pixels.shape != (*OF_SVHN, len(digits)):
        raise _broken(shown, f"holds pixels of shape {pixels.shape} and {len(digits)} labels")
    images = np.ascontiguousarray(pixels.transpose(3, 2, 0, 1))
    return images, _classes(digits, shown) % NUM_CLASSES


def read_stl10(pixels: Path, labels: Path, shown: str) -> tuple[Images, Array]:
    """Images uint8 [N, 3, 96, 96], written column by column, and their classes int64 [N] from 0.

    Raises DataError where the files are torn or do not belong together.
    """
    raw, classes = np.fromfile(pixels, np.uint8), np.fromfile(labels, np.uint8)
    if len(raw) != len(classes) * prod(OF_STL10):
        raise _broken(shown, f"holds {len(raw):,} bytes, but there are {len(classes)} labels")
    images = np.ascontiguousarray(raw.reshape(-1, *OF_STL10).transpose(0, 1, 3, 2))
    return images, _classes(classes, shown) - 1


def _classes(labels: Array, shown: str) -> npt.NDArray[np.int64]:
    if labels.dtype.kind not in "uif" or not np.isin(labels, np.arange(1, NUM_CLASSES + 1)).all():
        raise _broken(shown, "has a label that is not 1 to 10")
    return labels.astype(np.int64)


def _broken(shown: str, what: str) -> DataError:
    return DataError([Problem("E331", f"{what}.", shown, "Fetch it again.")])

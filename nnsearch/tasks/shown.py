"""Images that a task shows of a trained model, as a person is to see them. Knows no task.

Loads no torch, for reports read the names here.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

# Beside its lines of images a task may show a text [] under this name: what there is to know.
NOTE = "note"
_WHITE = 255


def as_bytes(
    images: npt.NDArray[Any], low: float | None = None, high: float | None = None
) -> npt.NDArray[np.uint8]:
    """Images with `low` as 0 and `high` as 255, by default their own ends; the rest is cut off.

    Bytes are shown as they are, other numbers between the least and the greatest of their line: so
    lines that are to be compared need one scale.
    """
    numbers = np.nan_to_num(np.asarray(images, np.float64))
    ends = (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 0.0)
    low, high = ends[0] if low is None else low, ends[1] if high is None else high
    shares = np.clip((numbers - low) / ((high - low) or 1.0), 0, 1)
    return np.round(shares * _WHITE).astype(np.uint8)

"""Transforms: from raw inputs to the model's. Fitted on train alone; know no model and no task.

A transform is a module with buffers only, so it is exported inside the predictor's graph. Legend:
B rows, C columns, N numeric columns, O one-hot columns, G categorical columns.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nnsearch.components import Count, Unit
from nnsearch.data.examples import Array, Examples
from nnsearch.errors import DataError, Problem
from nnsearch.signature import Signature

Numbers = npt.NDArray[np.float64]
Missing = Literal["median", "mean", "most_frequent", "constant"]
TableScale = Literal["standard", "robust", "minmax", "none"]
ImageScale = Literal["standard", "unit", "none"]

# Where it has another name than the kind of data.
DEFAULTS = {"ratings": "ids"}
_CHUNK = 4096


class _Style(NamedTuple):
    """What is done to a column of numbers."""

    missing: Missing
    fill_value: float
    scale: TableScale
    clip: float
    log: bool


def default_transform(signature: Signature) -> str:
    """The name of the transform for data of this kind."""
    return DEFAULTS.get(signature.kind, signature.kind)


def table(
    train: Examples,
    *,
    missing: Missing = "median",
    fill_value: float = 0.0,
    indicators: bool = True,
    scale: TableScale = "standard",
    clip: Unit = 0.0,
    log: bool = False,
    max_categories: Count = 64,
) -> nn.Module:
    """Columns float64 [B, C] to float32 [B, features]: numbers, indicators, one-hot categories.

    A missing number becomes train's median, mean or most frequent value, or with "constant" the
    number `fill_value`; with `indicators` a column that has missing cells in train says so in a
    feature of its own. `clip` cuts that share of train's values off, half at each end. With `log`
    each number x then becomes log(1 + |x|) with the sign of x, which draws in long tails. Scaling
    comes last: "standard" gives mean 0 and deviation 1, "robust" median 0 and quartiles that are 1
    apart, "minmax" 0 to 1. A categorical column becomes one feature for each of its
    `max_categories` most frequent categories of train, and one for all else, missing included. It
    is always 0 where train has nothing else: a new category is then none of those known. Columns
    that are constant in train are left out. Raises DataError where the examples are no table or no
    feature remains.
    """
    if train.signature.kind != "table":
        hint = "Use the transform image."
        raise DataError([Problem("E371", "the transform table wants columns.", hint=hint)])
    cells = np.asarray(train.inputs, dtype=np.float64)
    kinds = [column.kind for column in train.signature.columns]
    numeric = [place for place, kind in enumerate(kinds) if kind == "numeric"]
    varied = [place for place in numeric if _varies(cells[:, place])]
    style = _Style(missing, fill_value, scale, clip, log)
    columns = [_fit_number(cells[:, place], style) for place in varied]
    known = {
        place: codes
        for place, kind in enumerate(kinds)
        if kind == "categorical" and (codes := _frequent(cells[:, place], max_categories))
    }
    hot = [
        (group, place, code) for group, (place, codes) in enumerate(known.items()) for code in codes
    ]
    has_rest = [not np.isin(cells[:, place], codes).all() for place, codes in known.items()]
    lacking = [place for place in numeric if indicators and _is_partial(cells[:, place])]
    fitted = np.array(columns).reshape(-1, 5)
    module = TableTransform(varied, fitted, lacking, (hot, has_rest), is_log=log)
    if not module.num_features:
        hint = "Every column is constant in train."
        raise DataError([Problem("E371", "no column is left to learn from.", hint=hint)])
    return module


def image(train: Examples, *, scale: ImageScale = "standard") -> nn.Module:
    """Images [B, C, H, W] of uint8 or float32 to float32 of the same shape.

    "standard" gives each channel train's mean 0 and deviation 1, "unit" maps train's smallest and
    largest value to 0 and 1. Raises DataError where the examples are no images.
    """
    if train.signature.kind != "image":
        hint = "Use the transform table."
        raise DataError([Problem("E371", "the transform image wants images.", hint=hint)])
    num_channels = train.signature.shape[0]
    offset, factor = np.zeros(num_channels), np.ones(num_channels)
    if scale == "standard":
        offset, deviation = _moments(train.inputs)
        factor = 1 / np.where(deviation > 0, deviation, 1)
    elif scale == "unit":
        low, high = float(train.inputs.min()), float(train.inputs.max())
        offset = np.full(num_channels, low)
        factor = np.full(num_channels, 1 / (high - low) if high > low else 1.0)
    return ImageTransform(offset, factor)


class ImageTransform(nn.Module):
    """(x - offset) * factor for each channel, in float32."""

    offset: Tensor
    factor: Tensor

    def __init__(self, offset: Numbers, factor: Numbers) -> None:
        super().__init__()
        self.register_buffer("offset", torch.tensor(offset, dtype=torch.float32).view(-1, 1, 1))
        self.register_buffer("factor", torch.tensor(factor, dtype=torch.float32).view(-1, 1, 1))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Float32 [B, C, H, W]."""
        return (x_BCHW.float() - self.offset) * self.factor


class TableTransform(nn.Module):
    """Numbers filled, cut, bent and scaled; then indicators; then one-hot categories."""

    numeric: Tensor
    fill: Tensor
    low: Tensor
    high: Tensor
    offset: Tensor
    factor: Tensor
    lacking: Tensor
    hot: Tensor
    codes: Tensor
    groups: Tensor

    def __init__(
        self,
        numeric: list[int],
        fitted: Numbers,
        lacking: list[int],
        categories: tuple[list[tuple[int, int, float]], list[bool]],
        *,
        is_log: bool = False,
    ) -> None:
        """`fitted` is [N, 5]: fill, low, high, offset, factor; `categories` (group, column, code).

        With them it says of each group whether train has other categories as well. `places` has
        the places of each categorical column's features among all, the last of which is for those.
        """
        super().__init__()
        hot, has_rest = categories
        self.is_log = is_log
        self.register_buffer("numeric", torch.tensor(numeric, dtype=torch.int64))
        for place, name in enumerate(("fill", "low", "high", "offset", "factor")):
            self.register_buffer(name, torch.tensor(fitted[:, place], dtype=torch.float64))
        self.register_buffer("lacking", torch.tensor(lacking, dtype=torch.int64))
        self.register_buffer("hot", torch.tensor([each[1] for each in hot], dtype=torch.int64))
        codes = torch.tensor([each[2] for each in hot], dtype=torch.float64)
        self.register_buffer("codes", codes)
        members, num_groups = [each[0] for each in hot], len(has_rest)
        groups = torch.zeros(len(hot), num_groups)
        groups[range(len(hot)), members] = torch.tensor([float(has_rest[each]) for each in members])
        self.register_buffer("groups", groups)
        # No lengths of buffers, which a tracer takes for numbers that may change.
        self.kinds = bool(numeric), bool(lacking), bool(hot)
        self.num_features = len(numeric) + len(lacking) + len(hot) + num_groups
        first = len(numeric) + len(lacking)
        self.places = tuple(
            (
                *(first + place for place, member in enumerate(members) if member == group),
                first + len(hot) + group,
            )
            for group in range(num_groups)
        )

    def forward(self, x_BC: Tensor) -> Tensor:
        """Float32 [B, features]; the arithmetic is float64, for a time in seconds needs it."""
        return torch.cat(list(self._features(x_BC)), dim=1)

    def _features(self, x_BC: Tensor) -> Iterator[Tensor]:
        """Only the kinds that there are: ONNX Runtime has no use for tensors of width 0."""
        has_numeric, has_lacking, has_hot = self.kinds
        if has_numeric:
            x_BN = x_BC.index_select(1, self.numeric)
            x_BN = torch.where(torch.isnan(x_BN), self.fill, x_BN)
            x_BN = torch.minimum(torch.maximum(x_BN, self.low), self.high)
            x_BN = torch.sign(x_BN) * torch.log1p(torch.abs(x_BN)) if self.is_log else x_BN
            yield ((x_BN - self.offset) * self.factor).float()
        if has_lacking:
            yield torch.isnan(x_BC.index_select(1, self.lacking)).float()
        if has_hot:
            hit_BO = (x_BC.index_select(1, self.hot) == self.codes).float()
            yield hit_BO
            # Of a column that is all known categories in train 0: no weight of it has learned.
            yield self.groups.amax(0) - hit_BO @ self.groups


def _varies(cells: Numbers) -> bool:
    present = cells[~np.isnan(cells)]
    return len(present) > 0 and bool(np.any(present != present[0]))


def _is_partial(cells: Numbers) -> bool:
    missing = np.isnan(cells)
    return bool(missing.any() and not missing.all())


def _fit_number(cells: Numbers, style: _Style) -> tuple[float, float, float, float, float]:
    """Fill, low, high, offset and factor of one column."""
    present = cells[~np.isnan(cells)]
    fill = style.fill_value if style.missing == "constant" else _filling(present, style.missing)
    low, high = -np.inf, np.inf
    if style.clip:
        low, high = np.quantile(present, [style.clip / 2, 1 - style.clip / 2]).tolist()
    values = np.clip(np.where(np.isnan(cells), fill, cells), low, high)
    values = np.sign(values) * np.log1p(np.abs(values)) if style.log else values
    offset, width = _spread(values, style.scale)
    return fill, low, high, offset, 1 / width


def _filling(present: Numbers, missing: Missing) -> float:
    if missing == "mean":
        return float(present.mean())
    if missing == "median":
        return float(np.median(present))
    values, counts = np.unique(present, return_counts=True)
    return float(values[np.argmax(counts)])


def _spread(values: Numbers, scale: TableScale) -> tuple[float, float]:
    """The offset and the width to divide by; a width of 0 becomes the deviation, then 1."""
    deviation = float(values.std())
    if scale == "none":
        return 0.0, 1.0
    if scale == "standard":
        return float(values.mean()), deviation or 1.0
    if scale == "minmax":
        return float(values.min()), float(np.ptp(values)) or 1.0
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return middle, (high - low) or deviation or 1.0


def _frequent(cells: Numbers, most: int) -> list[float]:
    """The most frequent categories of train, in the order of their index."""
    counts = Counter(cells[~np.isnan(cells)].tolist())
    is_constant = len(counts) == 1 and not np.isnan(cells).any()
    if is_constant:
        return []
    ranked = sorted(counts, key=lambda code: (-counts[code], code))
    return sorted(ranked[:most])


def _moments(images: Array) -> tuple[Numbers, Numbers]:
    """The mean and the deviation of each channel, in pieces: memory stays small."""
    num_channels = images.shape[1]
    count = images.size / num_channels
    total = np.zeros(num_channels)
    for start in range(0, len(images), _CHUNK):
        total += images[start : start + _CHUNK].sum(axis=(0, 2, 3), dtype=np.float64)
    mean = total / count
    squares = np.zeros(num_channels)
    for start in range(0, len(images), _CHUNK):
        away = images[start : start + _CHUNK].astype(np.float32)
        away -= mean.astype(np.float32).reshape(-1, 1, 1)
        squares += np.square(away, out=away).sum(axis=(0, 2, 3), dtype=np.float64)
    return mean, np.sqrt(squares / count)

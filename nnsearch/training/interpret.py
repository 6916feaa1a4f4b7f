"""What a trained predictor looks at. Trains nothing, and is handed the rows it may see.

Columns of a table are judged by shuffling (Breiman, 2001; Fisher and others, 2019), pixels of an
image, steps of a series and tokens of a text by integrated gradients (Sundararajan and others,
2017).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnsearch.errors import UsageError
from nnsearch.training.examine import Parts, predict

Array = np.ndarray[Any, Any]
Score = Callable[[Array, Array], float]
STEPS = 64


def shuffled_drops(
    parts: Parts,
    inputs: Array,
    targets: Array,
    score: Score,
    *,
    num_repeats: int = 10,
    num_draws: int = 20,
    seed: int = 0,
) -> tuple[Array, Array]:
    """How much a score falls when a column of raw inputs [N, F] is shuffled, and how sure that is.

    The mean over the shufflings [F], and its standard deviation [F]: over rows drawn again with
    replacement, and over as many other shufflings.
    """
    generator = np.random.default_rng(seed)
    inputs = np.array(inputs)
    num_rows, num_columns = inputs.shape
    draws = generator.integers(0, num_rows, (num_draws, num_rows))
    whole = np.arange(num_rows)
    before = predict(parts, inputs)
    levels = np.array([score(before[rows], targets[rows]) for rows in (whole, *draws)])
    means, deviations = np.empty(num_columns), np.empty(num_columns)
    for column in range(num_columns):
        kept = inputs[:, column].copy()
        after = []
        for _ in range(num_repeats):
            inputs[:, column] = kept[generator.permutation(num_rows)]
            after.append(predict(parts, inputs))
        inputs[:, column] = kept
        scores = [[score(each[rows], targets[rows]) for each in after] for rows in (whole, *draws)]
        drops = levels[:, None] - np.array(scores)
        means[column] = drops[0].mean()
        over_rows = drops[1:].mean(axis=1).var(ddof=1)
        deviations[column] = np.sqrt(over_rows + drops[0].var(ddof=1) / num_repeats)
    return means, deviations


def integrated_gradients(
    parts: Parts, images: Array, answers: Array | None, *, num_steps: int = STEPS
) -> tuple[Array, Array]:
    """What each pixel of raw images [N, C, H, W] adds to the answer, against a black image.

    The attributions [N, H, W], channels added up, and how far their sum is from what they explain,
    as a share of it [N]: the method's own check. Of classes, whose indices are `answers` [N], that
    is the class's output less the mean of all; of numbers the output itself.
    """
    raw = torch.from_numpy(np.array(images))
    found, gaps = _integrated(parts, (raw, torch.zeros_like(raw)), answers, num_steps)
    return found.sum(1).numpy(), gaps


def series_gradients(
    parts: Parts, series: Array, middle: Array, answers: Array | None, *, num_steps: int = STEPS
) -> tuple[Array, Array]:
    """What each value of raw series [N, C, T] adds to the answer, against one without any change.

    That has the value `middle` [C] of each channel where the series has one at all, so that it is
    as long. The attributions [N, C, T], 0 where a value is missing, and the check of
    `integrated_gradients` [N].
    """
    raw = torch.from_numpy(np.array(series))
    level = torch.as_tensor(np.asarray(middle), dtype=raw.dtype)[:, None]
    flat = torch.where(torch.isnan(raw), raw, level)
    found, gaps = _integrated(parts, (raw, flat), answers, num_steps)
    # The transform's last channel says where a series ends, which is the same of both.
    return found[:, : raw.shape[1]].numpy(), gaps


def token_gradients(
    parts: Parts, texts: Array, answers: Array | None, *, num_steps: int = STEPS
) -> tuple[Array, Array]:
    """What each token of texts [N, T] adds to the answer, against tokens that say nothing.

    Those have an embedding of zeros, as what stands behind a text's end. The attributions
    [N, length], which is what the transform leaves of T, the values of an embedding added up, and
    the check of `integrated_gradients` [N]. Raises UsageError for a model that has no embedding.
    """
    model = parts.model
    reader = next((each for each in model.modules() if isinstance(each, nn.Embedding)), None)
    if reader is None:
        raise UsageError("the model has no embedding of tokens.")
    with torch.no_grad():
        tokens = parts.transforms(torch.from_numpy(np.array(texts)))
        seen = reader(tokens)

    def explain(embedded: Tensor) -> Tensor:
        hook = reader.register_forward_hook(lambda *_: embedded)
        try:
            return _explained(parts, tokens, _column(answers))
        finally:
            hook.remove()

    found, gaps = _along(explain, seen, torch.zeros_like(seen), num_steps)
    return found.sum(2).numpy(), gaps


def _integrated(
    parts: Parts, ends: tuple[Tensor, Tensor], answers: Array | None, num_steps: int
) -> tuple[Tensor, Array]:
    """Attributions in the shape behind the transforms, from one raw end to the other; the gaps."""
    with torch.no_grad():
        seen, base = (parts.transforms(each) for each in ends)
    chosen = _column(answers)
    return _along(lambda at: _explained(parts, at, chosen), seen, base, num_steps)


def _along(
    explain: Callable[[Tensor], Tensor], seen: Tensor, base: Tensor, num_steps: int
) -> tuple[Tensor, Array]:
    """The gradients of what is explained [N], summed on the way from `base` to `seen`; the gaps."""
    slopes = torch.zeros_like(seen)
    for step in range(num_steps):
        at = base + (step + 0.5) / num_steps * (seen - base)
        at = at.detach().requires_grad_()
        slopes += torch.autograd.grad(explain(at).sum(), at)[0]
    found = (seen - base) * slopes / num_steps
    with torch.no_grad():
        change = explain(seen) - explain(base)
    total = found.flatten(1).sum(1)
    gaps = (total - change).abs() / change.abs().clamp_min(1e-12)
    return found, gaps.numpy()


def _column(answers: Array | None) -> Tensor | None:
    return None if answers is None else torch.from_numpy(np.asarray(answers, np.int64))[:, None]


def _explained(parts: Parts, inputs: Tensor, chosen: Tensor | None) -> Tensor:
    outputs: Tensor = parts.model(inputs)
    if chosen is None:
        return outputs[:, 0]
    return outputs.gather(1, chosen)[:, 0] - outputs.mean(1)

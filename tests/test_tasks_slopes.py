"""What tasks give for speed is what they give without it."""

from typing import Any

import numpy as np
import pytest
import torch

from nnsearch.tasks.classification import classification
from nnsearch.tasks.regression import regression
from nnsearch.tasks.task import Task

CLASSES = np.array([0, 1, 2, 2, 2, 1, 0, 2, 2, 2])
NUMBERS = np.linspace(-3.0, 5.0, 10)
TASKS = [
    *(
        (classification, CLASSES, {"label_smoothing": smoothing, "class_weights": weights})
        for smoothing in (0.0, 0.3)
        for weights in ("none", "balanced", "effective")
    ),
    (regression, NUMBERS, {}),
]


@pytest.mark.parametrize(("make", "targets", "options"), TASKS)
@pytest.mark.parametrize("leading", [(), (4,)])
def test_slopes_are_what_autograd_finds(
    make: Any, targets: Any, options: dict[str, Any], leading: tuple[int, ...]
) -> None:
    task: Task = make(targets, **options)
    assert task.slopes is not None
    encoded = task.encode(targets)
    encoded = encoded if encoded.dtype == torch.int64 else encoded.double()
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(*leading, 10, task.outputs, dtype=torch.float64, generator=generator)
    leaf = (3 * outputs).requires_grad_()
    wanted = task.losses(leaf, encoded)
    losses, slopes = task.slopes(leaf.detach(), encoded.expand(*leading, 10))
    torch.testing.assert_close(losses, wanted.detach(), rtol=1e-10, atol=1e-12)
    (found,) = torch.autograd.grad(wanted.sum(), leaf)
    torch.testing.assert_close(slopes, found, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "task",
    [
        classification(CLASSES, focal_gamma=1.0),
        *(regression(NUMBERS, loss=loss) for loss in ("absolute", "huber", "log_cosh")),
    ],
)
def test_a_loss_without_a_closed_form_has_no_slopes(task: Task) -> None:
    assert task.slopes is None


def test_many_trials_metrics_are_each_ones() -> None:
    task = classification(CLASSES)
    assert task.metrics_many is not None
    drawn = np.random.default_rng(0).dirichlet(np.ones(3), (5, 10)).astype(np.float32)
    assert task.metrics_many(drawn, CLASSES) == [task.metrics(each, CLASSES) for each in drawn]

"""What a task is: how targets become losses, predictions and metrics. Knows no task in particular.

A task is made from the training split's targets alone, so nothing of the other splits can reach
the encoding.
"""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from nnsearch.study.spec import Direction
from nnsearch.tasks.metrics import Array

Kind = Literal["class", "number", "raw"]

# The annotation of a task's positional parameter says which targets it wants.
Classes = Annotated[npt.NDArray[np.int64], "class"]
Numbers = Annotated[npt.NDArray[np.float64], "number"]


class Task(NamedTuple):
    """Functions that belong together: B examples, O outputs of the model, P predicted values.

    `outputs` is O. `encode` turns the targets [N] of any split into what `losses` compares with.
    `losses` takes outputs [..., B, O] and encoded targets [..., B] to losses [..., B], one an
    example, whose mean is the loss; the leading axes, alike or broadcast, are for fused trials.
    `decode` takes outputs [B, O] to predictions [B, P] in the target's unit or as probabilities,
    and is exported with the model. `metrics` takes predictions [N, P] and targets [N] as the split
    has them to every metric; `directions` says which way each is better, the default objective
    first.

    Two are there for speed, and only where they give what the others give: `slopes` returns the
    losses and their derivative by the outputs [..., B, O], without autograd; `metrics_many` takes
    the predictions of K trials [K, N, P] to the metrics of each.
    """

    outputs: int
    encode: Callable[[Array], Tensor]
    losses: Callable[[Tensor, Tensor], Tensor]
    decode: nn.Module
    metrics: Callable[[Array, Array], dict[str, float]]
    directions: dict[str, Direction]
    slopes: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
    metrics_many: Callable[[Array, Array], list[dict[str, float]]] | None = None


def target_kind(task: Callable[..., Any]) -> Kind:
    """Whether a task component wants classes, numbers, or the targets as the source has them."""
    hints = get_type_hints(task, include_extras=True)
    for parameter in signature(task).parameters.values():
        if parameter.kind is Parameter.KEYWORD_ONLY:
            break
        marks = getattr(hints.get(parameter.name), "__metadata__", ())
        if "class" in marks:
            return "class"
        return "number" if "number" in marks else "raw"
    return "raw"

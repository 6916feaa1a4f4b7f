"""What a task is: how targets become losses, predictions and metrics. Knows no task in particular.

A task is made from the training split's targets alone, so nothing of the other splits can reach
the encoding.
"""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    Protocol,
    get_args,
    get_type_hints,
    runtime_checkable,
)

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from nnsearch.signature import Signature
from nnsearch.study.spec import Direction
from nnsearch.tasks.metrics import Array

Kind = Literal["class", "number", "anomaly", "pair", "labels", "mask", "picture", "raw"]

# The annotation of a task's positional parameter says which targets it wants.
Classes = Annotated[npt.NDArray[np.int64], "class"]
Numbers = Annotated[npt.NDArray[np.float64], "number"]
# 0 for a normal example, 1 for an anomaly; no anomaly is in the training split.
Anomalies = Annotated[npt.NDArray[np.int64], "anomaly"]
# 0 or 1 for each of several labels [N, L].
Labels = Annotated[npt.NDArray[np.int64], "labels"]
# The class of each pixel [N, H, W].
Masks = Annotated[npt.NDArray[np.int64], "mask"]
# The class of each image, and its values laid flat [N, 1 + D].
Pictures = Annotated[npt.NDArray[np.float32], "picture"]
# The codes of user and item [N, 2].
Pairs = Annotated[npt.NDArray[np.int64], "pair"]


class Served(NamedTuple):
    """What is exported of a model that answers something else than rows of the data.

    `model` takes rows [B, *signature.shape] to predictions [B, P]; `rows` are some to try it with.
    """

    model: nn.Module
    signature: Signature
    rows: Array


class Task(NamedTuple):
    """Functions that belong together: B examples, O outputs of the model, P predicted values.

    `outputs` is O, or 0 for as many as the model has inputs. `encode` turns the targets [N] of any
    split into what `losses` compares with.
    `losses` takes outputs [..., B, O] and encoded targets [..., B] to losses [..., B], one an
    example, whose mean is the loss; the leading axes, alike or broadcast, are for fused trials.
    `decode` takes outputs [B, O] to predictions [B, P] in the target's unit or as probabilities,
    and is exported with the model. `metrics` takes predictions [N, P] and targets [N] as the split
    has them to every metric; `directions` says which way each is better, the default objective
    first.

    Two are there for speed, and only where they give what the others give: `slopes` returns the
    losses and their derivative by the outputs [..., B, O], without autograd; `metrics_many` takes
    the predictions of K trials [K, N, P] to the metrics of each.

    `around` puts a module of the task's around each trial's model, where the task has state of its
    own to learn or to settle; such trials are trained alone. `baseline` is the model that a search
    is compared with. `show` takes a trained model, the validation split's inputs and its raw
    targets to images [M, ..., H, W] for a person to look at, by the name of each row of them, and
    under `shown.NOTE` to a text [] about them.
    `rows` are those of the training split to train on, where that is not each of them once.
    `serve` takes a trained model and the signature of the data to what is exported in place of
    transforms, model and decoding; None where it is these.
    """

    outputs: int
    encode: Callable[[Array], Tensor]
    losses: Callable[[Tensor, Tensor], Tensor]
    decode: nn.Module
    metrics: Callable[[Array, Array], dict[str, float]]
    directions: dict[str, Direction]
    slopes: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
    metrics_many: Callable[[Array, Array], list[dict[str, float]]] | None = None
    around: Callable[[nn.Module], nn.Module] | None = None
    baseline: str = "linear"
    show: Callable[[nn.Module, Tensor, Array], dict[str, Array]] | None = None
    rows: npt.NDArray[np.int64] | None = None
    serve: Callable[[nn.Module, Signature], Served | None] | None = None


@runtime_checkable
class Settling(Protocol):
    """A model of which something, such as a threshold, is chosen on the validation split."""

    def settle(self, outputs: Tensor, targets: Array) -> Tensor:
        """Choose by the split's outputs [N, O] and raw targets [N]; the outputs as they are now."""


def with_metric(
    task: Task, name: str, metric: Callable[[Array, Array], float], direction: Direction
) -> Task:
    """The task with one metric more, which comes first: studies improve it if they name no other.

    `metric` takes predictions [N, P] and targets [N], as the task's own metrics do.
    """

    def metrics(predictions: Array, raw: Array) -> dict[str, float]:
        return {name: float(metric(predictions, raw)), **task.metrics(predictions, raw)}

    return task._replace(
        metrics=metrics, metrics_many=None, directions={name: direction, **task.directions}
    )


def target_kind(task: Callable[..., Any]) -> Kind:
    """Whether a task component wants classes, numbers, or the targets as the source has them."""
    hints = get_type_hints(task, include_extras=True)
    for parameter in signature(task).parameters.values():
        if parameter.kind is Parameter.KEYWORD_ONLY:
            break
        marks = getattr(hints.get(parameter.name), "__metadata__", ())
        return next((kind for kind in get_args(Kind) if kind in marks), "raw")
    return "raw"

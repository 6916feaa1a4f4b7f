"""Components of a user's own, so that tests of study files stand on no option of a built-in."""

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt


def source(root: object, *, path: str = "a.csv", limit: int | None = None) -> None: ...


def table(train: object, *, scale: Literal["standard", "none"] = "standard") -> None: ...


def task(targets: object, *, smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0) -> None: ...


def mlp(
    inputs: object,
    outputs: int,
    *,
    width: Annotated[int, Ge(1)] = 64,
    depth: Annotated[int, Ge(1)] = 2,
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
) -> None: ...


def cnn(
    inputs: object, outputs: int, *, channels: int, kernels: tuple[int, ...] = (3, 3)
) -> None: ...


def adam(params: object, *, lr: Annotated[float, Gt(0)], beta: float = 0.9) -> None: ...


def sgd(params: object, *, lr: Annotated[float, Gt(0), Lt(1)], momentum: float = 0.0) -> None: ...


def constant(step: int, total: int) -> None: ...

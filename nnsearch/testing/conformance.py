"""What every check of conformance is made of. Knows no kind of component."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class ConformanceError(AssertionError):
    """A component breaks the contract of its kind; the message says which part of it."""


def require(is_kept: object, name: str, message: str) -> None:
    """Raise ConformanceError where a part of the contract is not kept by the component `name`."""
    if not is_kept:
        raise ConformanceError(f"{name}: {message}")


def title(component: object) -> str:
    """What a component is called in messages."""
    return str(getattr(component, "__name__", component))


@contextmanager
def draws_nothing(name: str) -> Iterator[None]:
    """Within it neither torch's nor NumPy's global generator may be used."""
    before = torch.get_rng_state(), _numpy_state()
    yield
    after = torch.get_rng_state(), _numpy_state()
    require(torch.equal(before[0], after[0]), name, "it draws from torch's global generator.")
    require(before[1] == after[1], name, "it draws from NumPy's global generator.")


def same_tensors(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether two states have the same names, and the same bits under each."""
    return one.keys() == other.keys() and all(same_bits(one[key], other[key]) for key in one)


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal in type, shape and every bit, NaN included."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return one.detach().cpu().numpy().tobytes() == other.detach().cpu().numpy().tobytes()


def stored(state: Any, name: str) -> Any:
    """`state` after a way through a checkpoint, which holds tensors and plain values only."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    try:
        return torch.load(buffer, weights_only=True)
    except Exception as error:
        text = (str(error).splitlines() or [""])[0]
        raise ConformanceError(f"{name}: its state is more than tensors: {text}") from error


def is_finite(tensor: Tensor) -> bool:
    """Whether every number of a tensor is."""
    return bool(torch.isfinite(tensor).all())


def copied_state(module: nn.Module) -> dict[str, Tensor]:
    """The module's state, which later training does not change."""
    return {key: each.detach().clone() for key, each in module.state_dict().items()}


def _numpy_state() -> bytes:
    state: Any = np.random.get_state(legacy=False)  # noqa: NPY002 - that very generator is meant
    return str(state["state"]["pos"]).encode() + bytes(state["state"]["key"].tobytes())

"""Which models of a study refuse its data, before anything is trained. Trains and runs nothing."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch

from nnsearch import components
from nnsearch.errors import NnsearchError, Problem, StudyError
from nnsearch.models.factorization import Pairs
from nnsearch.models.sequence import Tokens
from nnsearch.signature import Signature
from nnsearch.study.spec import Choice, FloatRange, IntRange, Space, Study


def model_inputs(signature: Signature) -> tuple[int, ...]:
    """The shape that a model would get; a table's may have more features than columns."""
    match signature.kind:
        case "series":
            return signature.shape[0] + 1, signature.shape[1]
        case "text":
            return Tokens(signature.shape[0], len(signature.words) + 2)
        case "ratings":
            return Pairs(*(len(column.categories) + 1 for column in signature.columns))
    return signature.shape


def ends(space: Space) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each alternative with the first and with the last value of each of its ranges."""
    for name, options in space.alternatives.items():
        first = {key: _value(each, is_last=False) for key, each in options.items()}
        yield name, first
        last = {key: _value(each, is_last=True) for key, each in options.items()}
        if last != first:
            yield name, last


def misfits(study: Study, signature: Signature, outputs: int) -> Iterator[Problem]:
    """The models that refuse the data at an end of their ranges, each reason once.

    Ours are built without memory. One of the user's own, which need not work on torch's meta
    device, is built, and whatever it raises is a problem of it.
    """
    seen: set[str] = set()
    for name, options in ends(study.model):
        problem = _misfit(study, name, options, (signature, outputs))
        if problem is not None and problem.message not in seen:
            seen.add(problem.message)
            yield problem


def refuse_misfits(study: Study, signature: Signature, outputs: int) -> None:
    """Raise StudyError for models of ours that can only fail: both ends of their ranges do.

    One that fails at one end alone may have good trials between.
    """
    found: dict[str, list[Problem | None]] = {}
    for name, options in ends(study.model):
        if ".py:" not in name:
            problem = _misfit(study, name, options, (signature, outputs))
            found.setdefault(name, []).append(problem)
    hopeless = [each[0] for each in found.values() if None not in each]
    if hopeless:
        raise StudyError([each for each in hopeless if each is not None])


def _misfit(
    study: Study, name: str, options: dict[str, Any], wanted: tuple[Signature, int]
) -> Problem | None:
    """Why a model with these options does not take inputs as these for so many outputs."""
    signature, outputs = wanted
    make = components.load("models", name, root=study.root, allow_code=study.allow_code)
    is_own = ".py:" in name
    try:
        with nullcontext() if is_own else torch.device("meta"):
            make(model_inputs(signature), outputs, **options)
    except NnsearchError as error:
        message, hint = error.message, error.hint
    except Exception as error:
        if not is_own:
            raise
        message, hint = f"{type(error).__name__}: {error}.", "It is code of your own."
    else:
        return None
    at = ("model", name if len(study.model.alternatives) > 1 else "name")
    return Problem("E420", message, f"[model] {name}", hint, at)


def _value(each: object, *, is_last: bool) -> object:
    if isinstance(each, Choice):
        return each.choices[-1 if is_last else 0]
    if isinstance(each, FloatRange | IntRange):
        return each.high if is_last else each.low
    return each

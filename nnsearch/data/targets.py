"""From raw targets to classes or numbers. Knows no loss, no metric and no split."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nnsearch.data.examples import Array, Examples
from nnsearch.errors import DataError, Problem

# Whole numbers may be classes up to this many, fractions up to fewer: quantities have more values.
_MOST_WHOLE_CLASSES = 1000
_MOST_FRACTION_CLASSES = 20
_MOST_CLASSES_OF_FEW_ROWS = 50
_LISTED = 5


def encode_classes(examples: Examples) -> Examples:
    """The examples with int64 class indices and `signature.labels`, in order of the labels.

    Numbers are ordered as numbers, all else as text. Raises DataError where a target is missing,
    there is one class only, a class has one row only, or the target is a quantity.
    """
    _refuse_several(examples)
    if examples.signature.labels:
        indices = examples.targets.astype(np.int64)
        labels = examples.signature.labels
    else:
        _refuse_missing(examples)
        values, indices = np.unique(_sortable(examples.targets), return_inverse=True)
        _refuse_quantity(values, examples)
        labels = tuple(_label(value) for value in values.tolist())
    _refuse_rare(np.bincount(indices, minlength=len(labels)), labels, examples.signature.target)
    return replace(
        examples,
        targets=indices.astype(np.int64),
        signature=replace(examples.signature, labels=labels),
    )


def as_numbers(examples: Examples) -> Examples:
    """The examples with float64 targets and no labels.

    Labels that are numbers, such as a digit's, count as numbers. Raises DataError where a target
    is text ("did you mean classification?"), missing or infinite, or where all are equal.
    """
    _refuse_several(examples)
    targets: Array = examples.targets
    if examples.signature.labels:
        targets = np.array(examples.signature.labels, dtype=object)[targets.astype(np.int64)]
    else:
        _refuse_missing(examples)
    name = examples.signature.target
    try:
        numbers: npt.NDArray[np.float64] = targets.astype(np.float64)
    except ValueError as error:
        texts = np.unique(targets.astype(str)).tolist()
        hint = 'Did you mean task.name = "classification"?'
        message = f"the target '{name}' is text ({_listed(texts)}), regression wants numbers."
        raise DataError([Problem("E325", message, hint=hint)]) from error
    infinite = np.flatnonzero(~np.isfinite(numbers))
    if len(infinite):
        message = f"the target '{name}' is infinite in row {infinite[0] + 1}."
        raise DataError([Problem("E319", message, hint="Use a finite number.")])
    if np.all(numbers == numbers[0]):
        message = f"the target '{name}' is {_label(float(numbers[0]))} in every row."
        raise DataError([Problem("E322", message, hint="Name another target.")])
    signature = replace(examples.signature, labels=())
    return replace(examples, targets=numbers, signature=signature)


def several_labels(examples: Examples) -> Examples:
    """The examples as they are; raises DataError unless their targets are 0 and 1, [N, L]."""
    if examples.targets.ndim != 2 or not examples.signature.names:  # noqa: PLR2004 - [N, L]
        message = f"the target '{examples.signature.target}' is one column, not several labels."
        hint = "Name the columns of 0 and 1 with labels in place of target."
        raise DataError([Problem("E327", message, hint=hint)])
    counts = examples.targets.astype(np.int64).sum(axis=0)
    same = np.flatnonzero((counts == 0) | (counts == examples.num_rows))
    if len(same):
        names = _listed([examples.signature.names[place] for place in same.tolist()])
        message = f"{len(same)} labels are the same in every row: {names}."
        raise DataError([Problem("E322", message, hint="Leave them out.")])
    return examples


def with_pictures(examples: Examples) -> Examples:
    """The examples with targets float32 [N, 1 + D]: the class, and the values of the image itself.

    `signature.names` are then the classes'. Raises DataError where the examples are no images of
    several classes.
    """
    if examples.signature.kind != "image":
        message = "pictures are drawn after images, which these examples are not."
        raise DataError([Problem("E327", message, hint="Use a source of images.")])
    encoded = encode_classes(examples)
    classes = encoded.targets.astype(np.float32)
    pixels = examples.inputs.reshape(examples.num_rows, -1).astype(np.float32)
    targets = np.concatenate([classes[:, None], pixels], axis=1)
    names = encoded.signature.labels
    signature = replace(examples.signature, labels=(), target="picture", names=names)
    return replace(examples, targets=targets, signature=signature)


def masks_of_images(examples: Examples) -> Examples:
    """The examples with int64 classes [N, H, W]; raises DataError where targets are no masks."""
    masks, shape = examples.targets, examples.signature.shape
    if examples.signature.kind != "image" or masks.shape[1:] != shape[1:]:
        message = f"targets of shape {masks.shape[1:]} are no masks of inputs of shape {shape}."
        hint = "Give images [C, H, W] and a class for each of their pixels, [H, W]."
        raise DataError([Problem("E327", message, hint=hint)])
    if masks.dtype.kind not in "bui" or (masks.size and int(masks.min()) < 0):
        message = "the classes of pixels are not whole numbers from 0 on."
        raise DataError([Problem("E326", message, hint="Number the classes from 0.")])
    return replace(examples, targets=masks.astype(np.int64))


def _sortable(targets: Array) -> Array:
    return targets.astype(str) if targets.dtype.kind in "OU" else targets


def _label(value: object) -> str:
    """`3.0` is called '3', as a person would."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _refuse_several(examples: Examples) -> None:
    if examples.targets.ndim > 1:
        message = f"the target '{examples.signature.target}' is several numbers in each row."
        hint = 'Of columns of 0 and 1: set task.name = "multilabel". Of windows: "forecasting".'
        raise DataError([Problem("E325", message, hint=hint)])


def _refuse_missing(examples: Examples) -> None:
    targets = examples.targets
    if targets.dtype.kind == "f":
        missing = np.isnan(targets.astype(np.float64))
    elif targets.dtype.kind == "O":
        missing = np.array(
            [
                each is None or (isinstance(each, float) and math.isnan(each))
                for each in targets.tolist()
            ]
        )
    else:
        return
    if missing.any():
        first = int(np.flatnonzero(missing)[0]) + 1
        name = examples.signature.target
        message = (
            f"the target '{name}' is missing in {missing.sum()} rows, the first is row {first}."
        )
        raise DataError([Problem("E321", message, hint="Fill it in or remove the rows.")])


def _refuse_quantity(values: Array, examples: Examples) -> None:
    num_values, num_rows = len(values), examples.num_rows
    is_many = num_values > _MOST_CLASSES_OF_FEW_ROWS and num_values * 10 > num_rows
    name = examples.signature.target
    if values.dtype.kind in "if":
        numbers = values.astype(np.float64)
        has_fractions = bool(np.any(numbers != np.floor(numbers)))
        most = _MOST_FRACTION_CLASSES if has_fractions else _MOST_WHOLE_CLASSES
        if num_values > most or is_many:
            message = f"the target '{name}' has {num_values:,} distinct numbers: no class."
            hint = 'Did you mean regression? Set task.name = "regression".'
            raise DataError([Problem("E323", message, hint=hint)])
    elif is_many:
        message = f"the target '{name}' has {num_values:,} distinct texts in {num_rows:,} rows."
        hint = "Name a target with fewer classes."
        raise DataError([Problem("E323", message, hint=hint)])


def _refuse_rare(counts: npt.NDArray[np.int64], labels: tuple[str, ...], name: str) -> None:
    present = np.flatnonzero(counts)
    if len(present) == 1:
        message = f"the target '{name}' has one class only: '{labels[present[0]]}'."
        raise DataError([Problem("E322", message, hint="Add rows of another class.")])
    rare = [labels[index] for index in np.flatnonzero(counts == 1)]
    if rare:
        message = f"{len(rare)} classes of '{name}' have one row only: {_listed(rare)}."
        hint = "Add rows, merge the class with another, or remove it."
        raise DataError([Problem("E324", message, hint=hint)])


def _listed(texts: list[str]) -> str:
    more = ", ..." if len(texts) > _LISTED else ""
    return ", ".join(f"'{text[:40]}'" for text in texts[:_LISTED]) + more


def encode_pairs(examples: Examples) -> Examples:
    """The examples with targets int64 [N, 2], the codes of user and item, in place of ratings.

    Raises DataError where the examples are no ratings.
    """
    if examples.signature.kind != "ratings":
        message = "the task ranking wants users and items."
        raise DataError([Problem("E327", message, hint="Use the source ratings.")])
    return replace(examples, targets=examples.inputs.astype(np.int64))

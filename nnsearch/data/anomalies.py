"""From classes to normal and odd, and a training split without the odd. Knows no loss."""

from dataclasses import replace

import numpy as np

from nnsearch.components import nearest
from nnsearch.data.examples import Examples
from nnsearch.data.split import RowsOf
from nnsearch.data.targets import encode_classes
from nnsearch.errors import DataError, Problem

ANOMALY_LABELS = ("normal", "anomaly")


def encode_anomalies(examples: Examples, normal: tuple[str, ...]) -> Examples:
    """The examples with targets int64: 0 for the classes in `normal`, 1 for every other.

    Raises DataError for a name that is no class, and where the names are none or leave no row out:
    without a known anomaly no model can be chosen.
    """
    encoded = encode_classes(examples)
    labels = list(encoded.signature.labels)
    problems = [
        Problem("E326", f"normal: there is no class '{name}'.", hint=nearest(name, labels))
        for name in normal
        if name not in labels
    ]
    if not normal:
        hint = f"Set normal in [task] to some of: {', '.join(labels[:10])}."
        problems.append(Problem("E326", "no class is named normal.", hint=hint))
    if not problems and set(labels) <= set(normal):
        message = "normal: every class is named, so that there is no anomaly."
        problems.append(Problem("E326", message, hint="Leave some class out."))
    if problems:
        raise DataError(problems)
    is_normal = np.isin(encoded.targets, [labels.index(name) for name in normal])
    targets = (~is_normal).astype(np.int64)
    signature = replace(examples.signature, labels=ANOMALY_LABELS)
    return replace(examples, targets=targets, signature=signature)


def normal_in_train(examples: Examples, rows: RowsOf) -> tuple[Examples, RowsOf]:
    """The split without the anomalies of its training rows; a note says how many went."""
    train = rows["train"]
    kept = train[examples.targets[train] == 0]
    num_left_out = len(train) - len(kept)
    if not num_left_out:
        return examples, rows
    note = f"{num_left_out} anomalies of the training split are left out: it holds normal rows only"
    return replace(examples, notes=(*examples.notes, note)), rows | {"train": kept}

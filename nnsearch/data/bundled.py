"""Data sets that come with scikit-learn. Reads no file of the user's."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from nnsearch.data.examples import Examples
from nnsearch.errors import UsageError
from nnsearch.signature import Column, Signature


def digits(_root: Path) -> Examples:
    """1,797 handwritten digits: uint8 images [1, 8, 8] of values 0 to 16, classes "0" to "9"."""
    rows = np.loadtxt(_installed("digits.csv.gz"), delimiter=",", dtype=np.uint8)
    signature = Signature(
        kind="image",
        shape=(1, 8, 8),
        dtype="uint8",
        target="digit",
        labels=tuple("0123456789"),
    )
    return Examples(rows[:, :-1].reshape(-1, 1, 8, 8), rows[:, -1].astype(np.int64), signature)


def breast_cancer(_root: Path) -> Examples:
    """569 tumours of 30 measurements; classes malignant and benign."""
    from sklearn.datasets import load_breast_cancer

    return _classes(load_breast_cancer(), "diagnosis")


def wine(_root: Path) -> Examples:
    """178 wines of 13 measurements, from three growers."""
    from sklearn.datasets import load_wine

    return _classes(load_wine(), "grower")


def iris(_root: Path) -> Examples:
    """150 flowers of 4 measurements, of three species."""
    from sklearn.datasets import load_iris

    return _classes(load_iris(), "species")


def diabetes(_root: Path) -> Examples:
    """442 patients of 10 measurements; the target is the disease's progression, a number."""
    from sklearn.datasets import load_diabetes

    loaded = load_diabetes(scaled=False)
    signature = _table(loaded["feature_names"], "progression", ())
    return Examples(
        loaded["data"].astype(np.float64), loaded["target"].astype(np.float64), signature
    )


def _installed(name: str) -> Path:
    """A file of scikit-learn's, found without its import, which costs more than the reading."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise UsageError("scikit-learn is not installed.", "Install it: pip install scikit-learn.")
    return Path(package.origin).parent / "datasets" / "data" / name


def _classes(loaded: Any, target: str) -> Examples:
    labels = tuple(map(str, loaded["target_names"]))
    signature = _table(loaded["feature_names"], target, labels)
    return Examples(loaded["data"].astype(np.float64), loaded["target"].astype(np.int64), signature)


def _table(names: Sequence[str], target: str, labels: tuple[str, ...]) -> Signature:
    columns = tuple(Column(str(name)) for name in names)
    return Signature("table", (len(columns),), "float64", target, columns, labels)

"""A source of data sets that torchvision has laid on the disk. Needs no torchvision itself.

Knows no split and no task.
"""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from nnsearch.components import Count
from nnsearch.data.cifar import read_batch, read_names
from nnsearch.data.examples import Array, Examples, without_copies
from nnsearch.data.idx_file import drawn, idx
from nnsearch.data.paths import find_files
from nnsearch.data.svhn_stl10 import read_stl10, read_svhn
from nnsearch.errors import DataError, Problem
from nnsearch.signature import Signature

Name = Literal["MNIST", "FashionMNIST", "KMNIST", "CIFAR10", "CIFAR100", "SVHN", "STL10"]
Part = tuple[Array, Array]


class _Cifar(NamedTuple):
    """The files of a data set below torchvision's root, and the keys in them."""

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    key: str
    names_key: str


_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_CIFAR = {
    "CIFAR10": _Cifar(
        "cifar-10-batches-py", _BATCHES, ("test_batch",), "batches.meta", "labels", "label_names"
    ),
    "CIFAR100": _Cifar(
        "cifar-100-python", ("train",), ("test",), "meta", "fine_labels", "fine_label_names"
    ),
}
_IDX = {
    "images": "train-images-idx3-ubyte",
    "labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
_CLASSES = {
    "MNIST": tuple("0123456789"),
    "FashionMNIST": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "KMNIST": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    "SVHN": tuple("0123456789"),
    "STL10": (
        *("airplane", "bird", "car", "cat", "deer"),
        *("dog", "horse", "monkey", "ship", "truck"),
    ),
}
# Of these torchvision fetches each part by itself.
_SPLIT = ("SVHN", "STL10")


def torchvision(
    root: Path,
    *,
    name: Name,
    path: str = "data",
    limit: Count | None = None,
    data_root: str = "",
    dedupe: bool = False,
) -> Examples:
    """The images and classes of a data set that torchvision has downloaded, its test part held out.

    `path` is the folder that torchvision calls root. `limit` draws that many of the training
    images, always the same ones. CIFAR's files are pickles, of which nothing is run. Of SVHN the
    extra images are left out, of STL10 those without a class. Raises DataError where the files are
    not there, with the command that fetches them, or are broken.
    """
    try:
        if name in _CIFAR:
            examples = _cifar(root, data_root, path, files=_CIFAR[name], limit=limit)
        elif name in _SPLIT:
            read = _svhn if name == "SVHN" else _stl10
            train, test = read(root, data_root, path)
            examples = _examples(train, test, _CLASSES[name], limit)
        else:
            examples = _of_idx(root, data_root, path, name=name, limit=limit)
    except DataError as error:
        if all(each.code != "E301" for each in error.problems):
            raise
        made = f"torchvision.datasets.{name}('{path}', download=True"
        call = f"import torchvision; {made})"
        if name in _SPLIT:
            call = f"import torchvision; [{made}, split=each) for each in ('train', 'test')]"
        hint = f'Type: pip install torchvision, then: python -c "{call}"'
        message = f"torchvision has not laid {name} there."
        raise DataError([*error.problems[:1], Problem("E301", message, path, hint)]) from error
    return without_copies(examples) if dedupe else examples


def _cifar(root: Path, data_root: str, path: str, *, files: _Cifar, limit: int | None) -> Examples:
    shown = {
        each: f"{path}/{files.folder}/{each}" for each in (*files.train, *files.test, files.names)
    }
    found = find_files(root, data_root, **shown)
    names = read_names(found[files.names], shown[files.names], files.names_key)
    parts: list[Part] = []
    for batches in (files.train, files.test):
        read = [read_batch(found[each], shown[each], files.key) for each in batches]
        parts.append((np.concatenate([x for x, _ in read]), np.concatenate([y for _, y in read])))
    highest = max(int(y.max(initial=0)) for _, y in parts)
    if highest >= len(names):
        message = f"names {len(names)} classes, but there is a label {highest}."
        raise DataError([Problem("E332", message, shown[files.names], "Fetch it again.")])
    return _examples(parts[0], parts[1], names, limit)


def _svhn(root: Path, data_root: str, path: str) -> list[Part]:
    shown = {each: f"{path}/{each}_32x32.mat" for each in ("train", "test")}
    found = find_files(root, data_root, **shown)
    return [read_svhn(found[each], shown[each]) for each in shown]


def _stl10(root: Path, data_root: str, path: str) -> list[Part]:
    parts = ("train", "test")
    shown = {
        f"{each}_{what}": f"{path}/stl10_binary/{each}_{what}.bin"
        for each in parts
        for what in "Xy"
    }
    found = find_files(root, data_root, **shown)
    return [read_stl10(found[f"{k}_X"], found[f"{k}_y"], shown[f"{k}_X"]) for k in parts]


def _examples(train: Part, test: Part, names: tuple[str, ...], limit: int | None) -> Examples:
    """The two parts one behind the other, the second held out."""
    train = drawn(*train, limit)
    images, targets = (np.concatenate(each) for each in zip(train, test, strict=True))
    held_out = np.arange(len(targets)) >= len(train[1])
    signature = Signature("image", images.shape[1:], "uint8", "class", labels=names)
    return Examples(images, targets.astype(np.int64), signature, held_out=held_out)


def _of_idx(root: Path, data_root: str, path: str, *, name: str, limit: int | None) -> Examples:
    base = root / data_root / path / name / "raw"
    files = {
        option: f"{path}/{name}/raw/{file}" + ("" if (base / file).exists() else ".gz")
        for option, file in _IDX.items()
    }
    examples = idx(
        root,
        images=files["images"],
        labels=files["labels"],
        test_images=files["test_images"],
        test_labels=files["test_labels"],
        data_root=data_root,
        limit=limit,
    )
    labels = _CLASSES[name]
    if int(examples.targets.max()) >= len(labels):
        message = f"has a label {examples.targets.max()}, which {name} has not."
        raise DataError([Problem("E332", message, files["labels"], "Fetch it again.")])
    signature = Signature("image", examples.signature.shape, "uint8", "class", labels=labels)
    return Examples(examples.inputs, examples.targets, signature, held_out=examples.held_out)

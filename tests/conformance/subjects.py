"""Inputs and targets of every kind that a built-in component may be tried with."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from openml_cache import cache
from PIL import Image
from torch import Tensor

from nnsearch import components
from nnsearch.data.examples import Examples
from nnsearch.models.embedding import Features
from nnsearch.models.factorization import Pairs
from nnsearch.models.sequence import Tokens
from nnsearch.signature import Column, Signature
from nnsearch.tasks.task import target_kind

NUM_ROWS = 40
DRAW = np.random.default_rng(0)


# Models that give their input back, or draw one like it; and those that judge each pixel.
OF_ITSELF = {"autoencoder", "conv_autoencoder", "vae", "gan", "independent"}
OF_PIXELS = {"unet"}


@dataclass(frozen=True)
class Inputs:
    """A shape that a model may be built for, and rows of it."""

    shape: Any
    rows: Tensor
    outputs: int = 3

    def outputs_of(self, model: str) -> int:
        """How many outputs a model is asked for: as many as its inputs, if it gives those back."""
        if model in OF_PIXELS:
            return 3 * prod(self.rows.shape[-2:])
        return prod(self.rows.shape[1:]) if model in OF_ITSELF else self.outputs


def _real(*shape: int) -> Tensor:
    return torch.randn(8, *shape, generator=torch.Generator().manual_seed(0))


def _series(channels: int, steps: int) -> Tensor:
    """The last channel says which steps are real: fewer from row to row."""
    rows = _real(channels, steps)
    lengths = steps - torch.arange(len(rows))
    rows[:, -1] = (torch.arange(steps) < lengths[:, None]).float()
    return rows * rows[:, -1:]


def _whole(shape: tuple[int, ...], highest: tuple[int, ...]) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    columns = [torch.randint(1, high, (8,), generator=draw) for high in highest]
    return torch.stack(columns, dim=1).reshape(8, *shape)


def _categories() -> Tensor:
    """Two numbers, and two columns of three categories and of two."""
    codes = torch.arange(8)
    hot = [torch.eye(3)[codes % 3], torch.eye(2)[codes % 2]]
    return torch.cat([_real(2), *hot], dim=1)


INPUTS = {
    "table": Inputs((6,), _real(6)),
    "categories": Inputs(Features(7, ((2, 3, 4), (5, 6))), _categories()),
    "image": Inputs((2, 8, 8), _real(2, 8, 8)),
    "series": Inputs((3, 10), _series(3, 10)),
    "tokens": Inputs(Tokens(9, 20), _whole((9,), (20,) * 9).int()),
    "pairs": Inputs(Pairs(5, 7), _whole((2,), (5, 7)), outputs=1),
}


def table_examples(rows: int = NUM_ROWS, *, seed: int = 0) -> Examples:
    """A number, a number that is missing at times, a colour, and two classes."""
    draw = np.random.default_rng(seed)
    targets = np.arange(rows, dtype=np.int64) % 2
    first = draw.normal(size=rows) + targets
    second = np.where(draw.random(rows) < 0.2, np.nan, draw.lognormal(size=rows))
    colours = draw.integers(0, 3, rows).astype(np.float64)
    columns = (
        *(Column("first"), Column("second")),
        Column("colour", "categorical", ("blue", "green", "red")),
    )
    signature = Signature("table", (3,), "float64", "y", columns, ("no", "yes"))
    return Examples(np.column_stack([first, second, colours]), targets, signature)


def image_examples(rows: int = NUM_ROWS, *, seed: int = 0) -> Examples:
    """Grey images of three classes."""
    draw = np.random.default_rng(seed)
    signature = Signature("image", (1, 6, 6), "uint8", "y", labels=("a", "b", "c"))
    pixels = draw.integers(0, 256, (rows, 1, 6, 6), dtype=np.uint8)
    return Examples(pixels, np.arange(rows, dtype=np.int64) % 3, signature)


def series_examples(rows: int = NUM_ROWS, *, seed: int = 0) -> Examples:
    """Series of two channels and unequal lengths."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(rows, 2, 9)).astype(np.float32)
    lengths = draw.integers(5, 10, rows)
    values[np.broadcast_to((np.arange(9) >= lengths[:, None])[:, None], values.shape)] = np.nan
    signature = Signature("series", (2, 9), "float32", "y", labels=("a", "b"))
    return Examples(values, np.arange(rows, dtype=np.int64) % 2, signature)


def text_examples(rows: int = NUM_ROWS, *, seed: int = 0) -> Examples:
    """Texts as numbers of tokens, 0 behind their end."""
    draw = np.random.default_rng(seed)
    words = tuple(f"word{place}" for place in range(18))
    tokens = draw.integers(1, 20, (rows, 9)).astype(np.int32)
    tokens[np.arange(9) >= draw.integers(3, 10, rows)[:, None]] = 0
    columns = (Column("text", "text"),)
    signature = Signature("text", (9,), "int32", "y", columns, ("a", "b"), words, r"\w+")
    return Examples(tokens, np.arange(rows, dtype=np.int64) % 2, signature)


def rating_examples(rows: int = NUM_ROWS, *, seed: int = 0) -> Examples:
    """Users and items by their codes."""
    draw = np.random.default_rng(seed)
    pairs = np.column_stack([draw.integers(0, 5, rows), draw.integers(0, 7, rows)])
    columns = (
        Column("user", "categorical", tuple(f"u{place}" for place in range(5))),
        Column("item", "categorical", tuple(f"i{place}" for place in range(7))),
    )
    signature = Signature("ratings", (2,), "float64", "rating", columns)
    return Examples(pairs.astype(np.float64), draw.integers(1, 6, rows).astype(float), signature)


EXAMPLES: dict[str, Callable[..., Examples]] = {
    "table": table_examples,
    "image": image_examples,
    "series": series_examples,
    "text": text_examples,
    "ids": rating_examples,
}


def targets_of(task: str) -> Any:
    """Targets of the kind that a built-in task wants."""
    draw = np.random.default_rng(2)
    if task == "forecasting":
        return draw.normal(size=(NUM_ROWS, 3, 4)) + 10
    kinds = {
        "class": np.arange(NUM_ROWS, dtype=np.int64) % 3,
        "labels": draw.integers(0, 2, (NUM_ROWS, 4)),
        "mask": draw.integers(0, 3, (NUM_ROWS, 4, 4)),
        "picture": np.column_stack([np.arange(NUM_ROWS) % 2, draw.random((NUM_ROWS, 16))]).astype(
            np.float32
        ),
        "number": draw.normal(50, 7, NUM_ROWS),
        "anomaly": np.arange(NUM_ROWS, dtype=np.int64) % 2,
        "pair": np.column_stack([draw.integers(1, 5, NUM_ROWS), draw.integers(1, 7, NUM_ROWS)]),
    }
    return kinds[target_kind(components.load("tasks", task))]


def file_of(folder: Path, source: str) -> dict[str, Any]:
    """A file for a source that reads one, and the options that name it."""
    written: dict[str, Callable[[Path], dict[str, Any]]] = {
        "csv": lambda folder: _table(folder) | {"target": "y", "drop": ("text",)},
        "ratings": _table,
        "vader": _snippets,
        "text_table": lambda folder: _table(folder) | {"column": "text", "target": "y"},
        "parquet": _parquet,
        "npz": _archive,
        "idx": _pixels,
        "ts": _lines,
        "images": _pictures,
        "image_table": lambda folder: (
            _pictures(folder) | {"path": "p.csv", "column": "file", "target": "y"}
        ),
        "openml": _answers,
        "torchvision": _downloaded,
        "hugging_face": lambda folder: (
            _table(folder) | {"path": "t", "target": "y", "drop": ("text",)}
        ),
        "series_table": _moments,
        "long_table": lambda folder: (
            _table(folder) | {"series": "user", "target": "user", "channels": ("a", "rating")}
        ),
    }
    return written[source](folder) if source in written else {}


def _snippets(folder: Path) -> dict[str, Any]:
    """Those that `make test` fetched, if it did."""
    archive = Path(sys.prefix) / "share" / "nnsearch" / "vaderSentiment-3.3.2.tar.gz"
    if archive.exists():
        shutil.copy(archive, folder)
    return {"path": archive.name}


def _table(folder: Path) -> dict[str, Any]:
    rows = "".join(
        f"{row * 0.5},{'xyz'[row % 3]},u{row % 4},i{row % 5},{row % 6},word {row} more,{row % 2}\n"
        for row in range(30)
    )
    (folder / "t.csv").write_text("a,b,user,item,rating,text,y\n" + rows)
    (folder / "t").mkdir()
    (folder / "t" / "train.csv").write_text("a,b,user,item,rating,text,y\n" + rows)
    return {"path": "t.csv"}


def _pictures(folder: Path) -> dict[str, Any]:
    lines = ["file,y"]
    for row in range(8):
        name = f"{'ab'[row % 2]}/{row}.png"
        (folder / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(DRAW.integers(0, 256, (4, 5), dtype=np.uint8)).save(folder / "p" / name)
        lines.append(f"p/{name},{row % 2}")
    (folder / "p.csv").write_text("\n".join(lines) + "\n")
    return {"path": "p"}


def _answers(folder: Path) -> dict[str, Any]:
    cache(folder / "home", 61)
    return {"name": "iris", "path": "home"}


def _downloaded(folder: Path) -> dict[str, Any]:
    """Two files of six images and labels as torchvision lays them, twice."""
    raw = folder / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        _pixels(raw)
        (raw / "i").rename(raw / f"{part}-images-idx3-ubyte")
        (raw / "l").rename(raw / f"{part}-labels-idx1-ubyte")
    return {"name": "MNIST"}


def _parquet(folder: Path) -> dict[str, Any]:
    import pandas as pd

    pd.DataFrame({"a": np.arange(9.0), "y": [0, 1, 1] * 3}).to_parquet(folder / "t.parquet")
    return {"path": "t.parquet", "target": "y"}


def _archive(folder: Path) -> dict[str, Any]:
    np.savez(folder / "t.npz", x=DRAW.normal(size=(9, 2)), y=np.arange(9) % 2)
    return {"path": "t.npz"}


def _pixels(folder: Path) -> dict[str, Any]:
    head = bytes([0, 0, 8])
    (folder / "i").write_bytes(head + b"\3" + b"\0\0\0\6" + b"\0\0\0\2" * 2 + bytes(24))
    (folder / "l").write_bytes(head + b"\1" + b"\0\0\0\6" + bytes([0, 1] * 3))
    return {"images": "i", "labels": "l"}


def _lines(folder: Path) -> dict[str, Any]:
    rows = "".join(f"{row},1,2:3,{row},5:{'ab'[row % 2]}\n" for row in range(6))
    (folder / "t.ts").write_text("@data\n" + rows)
    return {"path": "t.ts"}


def _moments(folder: Path) -> dict[str, Any]:
    steps = "".join(
        f"2024-01-{1 + row // 24:02}T{row % 24:02}:00,{row % 7}.5\n" for row in range(300)
    )
    (folder / "s.csv").write_text("t,v\n" + steps)
    return {"path": "s.csv", "time": "t", "target": "v"}

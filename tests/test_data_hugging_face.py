"""Hugging Face data sets as the Hub gives them and as save_to_disk writes them, small ones."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from nnsearch.data.hugging_face import hugging_face
from nnsearch.errors import DataError

DRAW = np.random.default_rng(0)
LABEL = {"names": ["neg", "pos"], "_type": "ClassLabel"}
TEXT = {"dtype": "string", "_type": "Value"}


def table(columns: Mapping[str, Any], features: Mapping[str, Any]) -> pa.Table:
    """With the metadata that `datasets` writes into a schema."""
    info = json.dumps({"info": {"features": features}})
    return pa.table(dict(columns)).replace_schema_metadata({"huggingface": info})


def parquet(path: Path, columns: Mapping[str, Any], features: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table(columns, features), path)


def reviews(count: int, start: int = 0) -> dict[str, Any]:
    texts = [f"review number {start + row}" for row in range(count)]
    return {"text": texts, "label": [row % 2 for row in range(count)]}


def said(call: Any) -> str:
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


@pytest.fixture
def imdb(tmp_path: Path) -> Path:
    """Two shards of train, one of test, and one that has no labels."""
    folder, features = tmp_path / "imdb" / "plain_text", {"text": TEXT, "label": LABEL}
    parquet(folder / "train-00000-of-00002.parquet", reviews(4), features)
    parquet(folder / "train-00001-of-00002.parquet", reviews(3, 4), features)
    parquet(folder / "test-00000-of-00001.parquet", reviews(2, 7), features)
    hidden = reviews(2, 9) | {"label": [-1, -1]}
    parquet(folder / "unsupervised-00000-of-00001.parquet", hidden, features)
    (tmp_path / "imdb" / "README.md").write_text("a card")
    return tmp_path


def test_parquet_of_the_hub_with_classes_and_texts(imdb: Path) -> None:
    examples = hugging_face(imdb, path="imdb")
    assert examples.signature.kind == "text"
    assert examples.inputs.tolist() == [f"review number {row}" for row in range(9)]
    assert examples.targets.tolist() == ["neg", "pos"] * 2 + ["neg", "pos", "neg", "neg", "pos"]
    assert examples.held_out is not None
    assert examples.held_out.tolist() == [False] * 7 + [True] * 2
    assert examples.notes == ("the split 'unsupervised' is not used",)


def test_a_test_split_without_labels_is_left_out(imdb: Path) -> None:
    file = imdb / "imdb" / "plain_text" / "test-00000-of-00001.parquet"
    parquet(file, reviews(2) | {"label": [-1, -1]}, {"text": TEXT, "label": LABEL})
    examples = hugging_face(imdb, path="imdb")
    assert examples.num_rows == 7
    assert examples.held_out is None
    assert "the split test has no label: left out" in examples.notes[1]


def test_images_are_decoded_from_their_bytes(tmp_path: Path) -> None:
    pixels = DRAW.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)

    def cell(row: int) -> dict[str, Any]:
        file = io.BytesIO()
        Image.fromarray(pixels[row]).save(file, "PNG")
        return {"bytes": file.getvalue(), "path": f"{row}.png"}

    features = {"img": {"_type": "Image"}, "label": LABEL}
    columns: dict[str, list[Any]] = {
        "img": [cell(row) for row in range(6)],
        "label": [0, 1] * 3,
    }
    for part, rows in (("train", slice(0, 4)), ("test", slice(4, 6))):
        own = {key: values[rows] for key, values in columns.items()}
        parquet(tmp_path / "d" / "data" / f"{part}-00000-of-00001.parquet", own, features)
    examples = hugging_face(tmp_path, path="d")
    np.testing.assert_array_equal(examples.inputs, np.moveaxis(pixels, 3, 1))
    assert examples.targets.tolist() == ["neg", "pos"] * 3
    assert examples.held_out is not None
    assert examples.held_out.tolist() == [False] * 4 + [True] * 2
    assert hugging_face(tmp_path, path="d", size=3).signature.shape == (3, 3, 3)
    columns["img"][1] = {"bytes": b"no image", "path": None}
    own = {key: values[:4] for key, values in columns.items()}
    parquet(tmp_path / "d" / "data" / "train-00000-of-00001.parquet", own, features)
    assert "d: row 2: error[E345]: 1 of 6 images cannot be read" in said(
        lambda: hugging_face(tmp_path, path="d")
    )
    assert hugging_face(tmp_path, path="d", broken="leave_out").num_rows == 5
    columns["img"][1] = {"bytes": None, "path": "/etc/passwd"}
    own = {key: values[:4] for key, values in columns.items()}
    parquet(tmp_path / "d" / "data" / "train-00000-of-00001.parquet", own, features)
    assert "'img' holds no bytes of an image in 1 rows" in said(
        lambda: hugging_face(tmp_path, path="d")
    )


@pytest.mark.parametrize("is_stream", [True, False])
def test_what_save_to_disk_wrote(tmp_path: Path, *, is_stream: bool) -> None:
    """A folder a split, Arrow files in it, and the features in a file beside them."""
    home = tmp_path / "saved"
    for part, count in (("train", 6), ("validation", 2), ("test", 2)):
        folder = home / part
        folder.mkdir(parents=True)
        columns = {
            "age": [float(row) for row in range(count)],
            "city": ["Bonn", "Graz"] * (count // 2),
            "label": [0, 1] * (count // 2),
        }
        made = pa.table(columns)
        open_new = pa.ipc.new_stream if is_stream else pa.ipc.new_file
        with open_new(str(folder / "data-00000-of-00001.arrow"), made.schema) as writer:
            writer.write_table(made)
        with pa.ipc.new_stream(str(folder / "cache-12ab.arrow"), made.schema) as writer:
            writer.write_table(made)
        (folder / "dataset_info.json").write_text(json.dumps({"features": {"label": LABEL}}))
        (folder / "state.json").write_text("{}")
    (home / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    examples = hugging_face(tmp_path, path="saved")
    assert examples.signature.kind == "table"
    assert [each.name for each in examples.signature.columns] == ["age", "city"]
    assert examples.inputs[:, 0].tolist() == [*range(6), 0, 1, 0, 1]
    assert examples.targets.tolist() == ["neg", "pos"] * 5
    assert examples.held_out is not None
    assert examples.held_out.tolist() == [False] * 8 + [True] * 2
    assert examples.notes == (
        "the rows of the split validation are divided anew with those of train",
    )


def test_csv_and_json_lines(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    for part in ("train", "test"):
        frame = pd.DataFrame({"a": [1.5, 2.5, 3.5], "b": ["x", "y", "x"], "y": [0, 1, 0]})
        frame.to_csv(tmp_path / "c" / f"{part}.csv", index=False)
    (tmp_path / "j").mkdir()
    for part in ("train", "test"):
        frame.to_json(tmp_path / "j" / f"{part}.jsonl", orient="records", lines=True)
    first = hugging_face(tmp_path, path="c", target="y")
    second = hugging_face(tmp_path, path="j", target="y")
    np.testing.assert_array_equal(first.inputs, second.inputs)
    assert first.signature == second.signature
    assert first.held_out is not None
    assert first.held_out.tolist() == [False] * 3 + [True] * 3


def test_what_is_wrong_with_a_folder_is_told(imdb: Path) -> None:
    assert "Did you mean 'text'?" in said(lambda: hugging_face(imdb, path="imdb", text="txt"))
    assert "target: there is no column 'lable'. Did you mean 'label'?" in said(
        lambda: hugging_face(imdb, path="imdb", target="lable")
    )
    (imdb / "empty").mkdir()
    message = said(lambda: hugging_face(imdb, path="empty"))
    assert "no file of the split train" in message
    assert "hf download --repo-type dataset NAME --local-dir empty" in message
    message = said(lambda: hugging_face(imdb, path="absent"))
    assert "hf download --repo-type dataset NAME --local-dir absent" in message
    shard = imdb / "imdb" / "plain_text" / "train-00001-of-00002.parquet"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-20])
    assert "imdb/plain_text/train-00001-of-00002.parquet: error[E341]: cannot be read" in said(
        lambda: hugging_face(imdb, path="imdb")
    )
    shard.unlink()
    shard.symlink_to("/etc/hostname")
    assert "is a link that leads out" in said(lambda: hugging_face(imdb, path="imdb"))
    shard.unlink()
    other = imdb / "imdb" / "other" / "train-00000-of-00001.parquet"
    parquet(other, reviews(3), {})
    message = said(lambda: hugging_face(imdb, path="imdb"))
    assert "several configurations: other, plain_text. Set path = 'imdb/other'" in message
    assert hugging_face(imdb, path="imdb/other").targets.tolist() == [0, 1, 0]

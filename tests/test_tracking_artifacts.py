"""The files of a run, in a local store and for one that is reached by an upload."""

import hashlib
import json
from pathlib import Path

import pytest

from nnsearch.tracking.artifacts import Content, write_artifacts


@pytest.fixture
def contents(tmp_path: Path) -> dict[str, Content]:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"tensors")
    return {"weights.pt": weights, "deep/a.json": {"x": 1}, "a.txt": "é", "b.png": b"\x89PNG"}


def assert_complete(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest) == {"weights.pt", "deep/a.json", "a.txt", "b.png"}
    for name, each in manifest.items():
        raw = (folder / name).read_bytes()
        assert each == {"size": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}


def test_a_local_store_is_written_directly(tmp_path: Path, contents: dict[str, Content]) -> None:
    folder = tmp_path / "with space"
    uploaded: list[Path] = []
    for _ in range(2):
        write_artifacts(folder.as_uri(), contents, upload=uploaded.append)
        assert_complete(folder)
    assert uploaded == []


def test_any_other_store_is_handed_one_folder(contents: dict[str, Content]) -> None:
    uploaded: list[Path] = []

    def upload(folder: Path) -> None:
        assert_complete(Path(folder))
        uploaded.append(Path(folder))

    write_artifacts("mlflow-artifacts:/1/abc", contents, upload=upload)
    assert len(uploaded) == 1
    assert not uploaded[0].exists()


@pytest.mark.parametrize(("size", "is_sent"), [(7, False), (3, True)], ids=["whole", "cut short"])
def test_a_file_that_was_uploaded_whole_is_not_uploaded_again(
    size: int, is_sent: bool, contents: dict[str, Content]
) -> None:
    sent: set[str] = set()

    def upload(folder: Path) -> None:
        sent.update(each.name for each in Path(folder).rglob("*") if each.is_file())
        manifest = json.loads((Path(folder) / "manifest.json").read_text())
        assert manifest["weights.pt"]["size"] == 7

    sizes = {"weights.pt": size, "b.png": 4}
    write_artifacts("mlflow-artifacts:/1/abc", contents, upload=upload, there=lambda: sizes)
    assert sent == {"a.json", "a.txt", "b.png", "manifest.json", *(["weights.pt"] * is_sent)}

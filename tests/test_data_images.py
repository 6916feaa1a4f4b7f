"""Image files in folders and in tables, real ones of each format, and those that are broken."""

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nnsearch.data.decoding import ImageError, TooLargeError, decode, look
from nnsearch.data.images import image_table, images
from nnsearch.errors import DataError

DRAW = np.random.default_rng(0)


def pixels(*shape: int) -> npt.NDArray[np.uint8]:
    return DRAW.integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, array: npt.NDArray[Any], **options: Any) -> npt.NDArray[Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return array


def said(call: Any) -> str:
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Two classes of three grey images."""
    for place in range(3):
        save(tmp_path / "pets" / "cat" / f"{place}.png", pixels(6, 5))
        save(tmp_path / "pets" / "dog" / "more" / f"{place}.bmp", pixels(6, 5))
    return tmp_path


def test_the_folder_is_the_class_and_the_name_the_place(pets: Path) -> None:
    (pets / "pets" / "readme.txt").write_text("no image")
    (pets / "pets" / "cat" / ".hidden.png").write_bytes(b"no image either")
    (pets / "pets" / "empty").mkdir()
    examples = images(pets, path="pets")
    assert examples.targets.tolist() == ["cat"] * 3 + ["dog"] * 3
    assert examples.signature.shape == (1, 6, 5)
    assert examples.signature.dtype == str(examples.inputs.dtype) == "uint8"
    wanted = [
        np.asarray(Image.open(pets / "pets" / "cat" / "2.png")),
        np.asarray(Image.open(pets / "pets" / "dog" / "more" / "0.bmp")),
    ]
    np.testing.assert_array_equal(examples.inputs[2:4, 0], wanted)
    assert examples.held_out is None
    assert examples.notes == (
        "no image is in 'empty'",
        "1 files in 'pets' are no images of a class: ignored",
    )


def test_train_and_test_folders_are_the_declared_split(tmp_path: Path) -> None:
    for part, count in (("train", 3), ("test", 2), ("val", 1)):
        for name in ("a", "b"):
            for place in range(count):
                save(tmp_path / "d" / part / name / f"{place}.png", pixels(4, 4))
    examples = images(tmp_path, path="d")
    assert examples.held_out is not None
    assert examples.held_out.tolist() == [False] * 6 + [True] * 4 + [False] * 2
    assert examples.targets.tolist() == list("aaabbb") + list("aabb") + list("ab")
    assert examples.notes == ("the images in 'val' are divided anew with the others",)
    named = images(tmp_path, path="d/train", test="d/val")
    assert named.held_out is not None
    assert named.held_out.tolist() == [False] * 6 + [True] * 2


def test_train_beside_val_are_no_classes(tmp_path: Path) -> None:
    for part in ("train", "val"):
        save(tmp_path / "d" / part / "a" / "0.png", pixels(4, 4))
    message = said(lambda: images(tmp_path, path="d"))
    assert "Set path = 'd/train' and test = 'd/val'." in message


def test_modes_are_converted_and_said(tmp_path: Path) -> None:
    save(tmp_path / "d" / "a" / "0.png", pixels(4, 4))
    colour = save(tmp_path / "d" / "a" / "1.png", pixels(4, 4, 3))
    seen = save(tmp_path / "d" / "b" / "0.png", pixels(4, 4, 4))
    Image.fromarray(pixels(4, 4)).convert("P").save(tmp_path / "d" / "b" / "1.gif")
    Image.fromarray(pixels(4, 4, 3)).convert("CMYK").save(tmp_path / "d" / "b" / "2.jpg")
    deep = save(tmp_path / "d" / "b" / "3.png", pixels(4, 4).astype(np.uint16) * 256 + 7)
    examples = images(tmp_path, path="d")
    assert examples.signature.shape == (3, 4, 4)
    np.testing.assert_array_equal(examples.inputs[1], np.moveaxis(colour, 2, 0))
    share = seen[..., 3:].astype(float) / 255
    over_white = np.moveaxis(seen[..., :3] * share + 255 * (1 - share), 2, 0)
    assert np.abs(examples.inputs[2] - over_white).max() <= 2
    np.testing.assert_array_equal(examples.inputs[5], np.stack([deep >> 8] * 3))
    (note,) = examples.notes
    assert note == (
        "images are read as RGB: 1 of mode CMYK, 1 of mode I;16, 1 of mode L, 1 of mode P, "
        "1 of mode RGBA"
    )
    grey = images(tmp_path, path="d", channels="grey")
    assert grey.signature.shape == (1, 4, 4)


def test_sizes_have_to_agree_or_be_wanted(pets: Path) -> None:
    white = np.full((20, 10), 255, np.uint8)
    save(pets / "pets" / "cat" / "9.png", white)
    message = said(lambda: images(pets, path="pets"))
    assert "2 sizes, such as 6 x 5 and 20 x 10 pixels (height x width). Set size" in message
    assert images(pets, path="pets", size=8, width=4).signature.shape == (1, 8, 4)
    padded = images(pets, path="pets", size=8, fit="pad").inputs[3, 0]
    assert padded[:, :2].max() == padded[:, 6:].max() == 0
    assert padded[:, 2:6].min() == 255
    assert images(pets, path="pets", size=8, fit="crop").inputs[3, 0].min() == 255
    assert "width is given, but no size" in said(lambda: images(pets, path="pets", width=4))


def test_a_photo_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    array = save(tmp_path / "photo.png", pixels(4, 6), exif=turned)
    assert look(tmp_path / "photo.png") == ("L", (6, 4))
    np.testing.assert_array_equal(decode(tmp_path / "photo.png", 1)[0], np.rot90(array, -1))


def test_broken_images_are_counted_and_the_first_named(pets: Path) -> None:
    whole = (pets / "pets" / "cat" / "1.png").read_bytes()
    (pets / "pets" / "cat" / "1.png").write_bytes(whole[:50])
    (pets / "pets" / "dog" / "text.jpg").write_text("no image")
    message = said(lambda: images(pets, path="pets"))
    assert message.startswith(
        "pets/cat/1.png: error[E345]: 2 of 7 images cannot be read, the first here: "
    )
    assert 'set broken = "leave_out"' in message
    rest = images(pets, path="pets", broken="leave_out")
    assert rest.targets.tolist() == ["cat"] * 2 + ["dog"] * 3
    (note,) = rest.notes
    assert note.startswith("2 images cannot be read: left out, as broken asks: pets/cat/1.png (")
    assert "pets/dog/text.jpg (it has no format that is known)" in note


def test_an_image_that_is_broken_at_any_byte_is_no_surprise(tmp_path: Path) -> None:
    for suffix in ("png", "jpg", "gif", "bmp", "webp", "tif", "ppm"):
        file = tmp_path / f"x.{suffix}"
        save(file, pixels(16, 16, 3))
        whole = file.read_bytes()
        for cut in DRAW.integers(0, len(whole), 40).tolist():
            changed = bytearray(whole)
            changed[cut] ^= 1 << int(DRAW.integers(8))
            for content in (whole[:cut], bytes(changed)):
                file.write_bytes(content)
                try:
                    assert decode(file, 3, (8, 8)).shape == (3, 8, 8)
                except ImageError:
                    continue


def test_an_image_of_3_6_gigapixels_is_refused_unseen(pets: Path) -> None:
    head = bytearray((pets / "pets" / "cat" / "0.png").read_bytes())
    head[16:24] = struct.pack(">II", 60000, 60000)
    head[29:33] = struct.pack(">I", zlib.crc32(head[12:29]))
    (pets / "pets" / "cat" / "0.png").write_bytes(head)
    with pytest.raises(TooLargeError):
        decode(pets / "pets" / "cat" / "0.png", 1)
    for broken in ("refuse", "leave_out"):
        message = said(lambda: images(pets, path="pets", broken=broken))  # noqa: B023
        assert "pets/cat/0.png: error[E346]: 1 of 6 images have too many pixels" in message


def test_links_and_devices_are_refused(pets: Path, tmp_path_factory: Any) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.png"
    save(outside, pixels(6, 5))
    cats = pets / "pets" / "cat"
    (cats / "inside.png").symlink_to(cats / "0.png")
    assert len(images(pets, path="pets").targets) == 7
    (cats / "link.png").symlink_to(outside)
    (pets / "pets" / "dog" / "far").symlink_to(outside.parent)
    os.mkfifo(cats / "pipe.png")
    message = said(lambda: images(pets, path="pets"))
    assert "pets/cat/link.png: error[E302]: is a link that leads out of" in message
    assert "pets/dog/far: error[E302]: is a link that leads out of" in message
    assert "pets/cat/pipe.png: error[E302]: is a device, a pipe or a link to nothing." in message
    assert "outside the study's folder" in said(lambda: images(pets, path="../.."))


def test_folders_that_hold_nothing_of_use_are_named(pets: Path) -> None:
    assert "there is no such folder. Did you mean 'pets'?" in said(
        lambda: images(pets, path="pest")
    )
    assert "is a file. Name a folder." in said(lambda: images(pets, path="pets/cat/0.png"))
    message = said(lambda: images(pets, path="pets/cat"))
    assert "no folder with images in it, one for each class" in message
    assert "image_table" in message


def test_dedupe_drops_copies(pets: Path) -> None:
    copy = (pets / "pets" / "cat" / "0.png").read_bytes()
    (pets / "pets" / "cat" / "copy.png").write_bytes(copy)
    assert images(pets, path="pets").num_rows == 7
    assert images(pets, path="pets", dedupe=True).num_rows == 6


@pytest.fixture
def table(pets: Path) -> Path:
    """Six images with a weight, and the person who took each."""
    names = [f"cat/{place}.png" for place in range(3)]
    names += [f"dog/more/{place}.bmp" for place in range(3)]
    rows = [f"{name},{place}.5,p{place % 2}" for place, name in enumerate(names)]
    (pets / "pets.csv").write_text("\n".join(["photo,weight,by", *rows]) + "\n")
    return pets


def test_a_table_names_images_and_targets(table: Path) -> None:
    examples = image_table(
        table, path="pets.csv", column="photo", target="weight", folder="pets", group="by"
    )
    assert examples.targets.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert examples.groups is not None
    assert examples.groups.tolist() == ["p0", "p1"] * 3
    np.testing.assert_array_equal(examples.inputs, images(table, path="pets").inputs)
    (table / "pets" / "cat" / "1.png").write_text("broken")
    rest = image_table(
        table,
        path="pets.csv",
        column="photo",
        target="weight",
        folder="pets",
        broken="leave_out",
    )
    assert rest.targets.tolist() == [0.5, 2.5, 3.5, 4.5, 5.5]


def test_paths_of_a_table_are_checked_all_at_once(table: Path) -> None:
    lines = ["cat/9.png,1,a", "../../x.png,1,a", ",1,a", "cat,1,a"]
    with (table / "pets.csv").open("a") as file:
        file.write("\n".join(lines) + "\n")

    def read() -> object:
        return image_table(table, path="pets.csv", column="photo", target="by", folder="pets")

    message = said(read)
    assert "pets.csv:8: error[E301]: 2 paths lead to no file, the first here: 'cat/9.png'" in (
        message
    )
    assert "pets.csv:9: error[E302]: 1 paths lead out of the study's folder" in message
    assert "pets.csv:10: error[E321]: 1 paths are missing, the first here" in message
    assert "there is no column 'phot'. Did you mean 'photo'?" in said(
        lambda: image_table(table, path="pets.csv", column="phot", target="by")
    )

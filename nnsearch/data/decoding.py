"""Image files as arrays of pixels. Copied into exports: knows numpy, Pillow and nothing else.

Training and an export read files by this same code, so that both see the same pixels.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
)
GREY_MODES = frozenset({"1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N"})
FITS = ("stretch", "crop", "pad")
MOST_PIXELS = 2**26

# By content, whatever the name says. Others, such as EPS, would start programs of their own.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_MODES = GREY_MODES | {"P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV"}
# What Pillow raises where a file is cut short or was changed.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, OverflowError),
    *(TypeError, LookupError, AttributeError, struct.error, zlib.error),
)

Source = Path | bytes


class ImageError(Exception):
    """The file is no image that can be read; the text says why."""


class TooLargeError(ImageError):
    """The image has more pixels than anything that is trained on; it was not decoded."""


def look(source: Source) -> tuple[str, tuple[int, int]]:
    """The mode of an image, as Pillow calls it, and its height and width, from its head alone.

    The source is a file or the bytes of one.
    Raises ImageError where there is none, TooLargeError for more than 67 million pixels.
    """
    with _opened(source) as image:
        width, height = image.size
        # Of a PNG file without it in its head, asking would decode all of it.
        is_told = image.format != "PNG" or "exif" in image.info
        is_turned = is_told and image.getexif().get(0x0112, 1) >= 5  # noqa: PLR2004 - on its side
        return image.mode, (width, height) if is_turned else (height, width)


def decode(
    source: Source,
    num_channels: int,
    size: tuple[int, int] | None = None,
    fit: str = "stretch",
) -> np.ndarray:
    """The pixels of an image, uint8 [C, H, W], grey for one channel and red, green, blue for three.

    It is turned as its camera says; what is transparent becomes white; 16 bits become the upper 8;
    of an animation the first picture counts. With `size`, height and width, it is stretched to
    it, or cropped at the middle, or padded with black. Raises as `look` does.
    """
    from PIL import Image, ImageOps

    with _opened(source) as image:
        upright = ImageOps.exif_transpose(image)
        plain = _opaque(upright).convert("L" if num_channels == 1 else "RGB")
        if size is not None and plain.size != size[::-1]:
            filtering = Image.Resampling.BILINEAR
            if fit == "crop":
                plain = ImageOps.fit(plain, size[::-1], filtering)
            elif fit == "pad":
                plain = ImageOps.pad(plain, size[::-1], filtering)
            else:
                plain = plain.resize(size[::-1], filtering)
        pixels = np.asarray(plain, np.uint8)
    return np.moveaxis(pixels.reshape(*pixels.shape[:2], num_channels), 2, 0)


def _opaque(image: Any) -> Any:
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image
    whole = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole)


@contextmanager
def _opened(source: Source) -> Iterator[Any]:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, which are not read
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            file = io.BytesIO(source) if isinstance(source, bytes) else source
            with Image.open(file, formats=_FORMATS) as image:
                width, height = image.size
                if width * height > MOST_PIXELS:
                    raise TooLargeError(f"it has {width:,} x {height:,} pixels")
                if image.mode not in _MODES:
                    raise ImageError(f"its pixels are of mode {image.mode}")
                yield image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise TooLargeError("it has over 67 million pixels") from error
    except _BROKEN as error:
        reason = "it has no format that is known" if "identify" in str(error) else str(error)
        raise ImageError(reason[:120] or type(error).__name__) from error

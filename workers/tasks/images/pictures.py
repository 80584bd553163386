"""Reads a picture file as an upright RGB square."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.tasks.files import GET_AGAIN, refuse

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
GREY = 128
"""The background of transparent pictures, from which both white and black shapes differ."""
DEEP = 257
"""The factor between 16-bit and 8-bit brightness."""


def read_picture(path: Path, side: int) -> NDArray[np.uint8]:
    """The centre square, (3, side, side), of the first frame. Raises InvalidDataError."""
    # Imported late, because only folders of pictures need Pillow.
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            # Pillow warns about small files that decompress to gigabytes.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as file:
                # Decodes JPEG files at a reduced size if that is enough.
                file.draft("RGB", (side, side))
                upright: Any = ImageOps.exif_transpose(file)
                square = ImageOps.fit(_coloured(upright), (side, side), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        bound = f"a whole {', '.join(FORMATS)}"
        raise refuse(path, f"this picture cannot be read: {error}", bound, path.name, GET_AGAIN) from None
    return np.asarray(square, dtype=np.uint8).transpose(2, 0, 1)


def _coloured(picture: Any) -> Any:
    """The picture in 8-bit RGB. Scales 16-bit values, which Pillow would clip at 255; transparent parts become grey."""
    from PIL import Image

    if picture.mode.startswith("I"):
        deep = np.asarray(picture).astype(np.int64)
        if deep.min() < 0 or deep.max() > DEEP * 255:
            raise ValueError(f"its brightness runs from {deep.min()} to {deep.max()}, outside of 16 bits")
        return Image.fromarray((deep // DEEP).astype(np.uint8)).convert("RGB")
    if picture.mode == "F":
        raise ValueError("its brightness is in floating-point numbers, whose range the file does not say")
    if picture.has_transparency_data:
        above = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", above.size, (GREY, GREY, GREY, 255)), above).convert("RGB")
    return picture.convert("RGB")

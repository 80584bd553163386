"""One picture file as pixels: upright, in three colours, cut to a square."""

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
"""What lies behind transparent pictures: white and black shapes both stand out from it."""
DEEP = 257
"""Steps of 16-bit brightness in one of 8 bits."""


def read_picture(path: Path, side: int) -> NDArray[np.uint8]:
    """(3, side, side): the middle square, the first frame of a moving picture. Raises InvalidDataError."""
    # Only folders need Pillow: all other data sets are read without it.
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            # A small file that unpacks to gigabytes is warned of first.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as file:
                # JPEG files are unpacked no larger than they are needed.
                file.draft("RGB", (side, side))
                upright: Any = ImageOps.exif_transpose(file)
                square = ImageOps.fit(_coloured(upright), (side, side), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        bound = f"a whole {', '.join(FORMATS)}"
        raise refuse(path, f"this picture is not read: {error}", bound, path.name, GET_AGAIN) from None
    return np.asarray(square, dtype=np.uint8).transpose(2, 0, 1)


def _coloured(picture: Any) -> Any:
    """In RGB of 8 bits: 16 bits are scaled, which Pillow would cut off at 255; transparent parts show grey."""
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

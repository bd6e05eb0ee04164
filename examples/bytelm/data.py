"""The pictures: photographs and digits that come with scikit-image and scikit-learn, nothing is downloaded.

Photographs are split by photograph: no crop of a held-out one is seen in training. The faces of LFW need a download
(the 200 patches in scikit-image have 25 x 25 pixels, too few) and are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 48
TRAINING = (
    "astronaut",
    "coffee",
    "rocket",
    "hubble_deep_field",
    "immunohistochemistry",
    "retina",
    "motorcycle",
    "china",
)
HELD_OUT = ("chelsea", "flower")
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """One picture: uint8 of shape (48, 48, 3), or (48, 48) for a digit; ``label`` is 0 to 9, 10 for photographs."""

    pixels: Pixels
    label: int
    source: str


PHOTOGRAPH = 10


def _photographs(names: tuple[str, ...]) -> dict[str, Pixels]:
    import skimage.data
    from sklearn.datasets import load_sample_images

    samples = load_sample_images()
    named = {Path(name).stem: image for name, image in zip(samples.filenames, samples.images, strict=True)}
    for name in names:
        if name == "motorcycle":
            named[name] = skimage.data.stereo_motorcycle()[0]
        elif name not in named:
            named[name] = getattr(skimage.data, name)()
    return {name: np.ascontiguousarray(named[name][..., :3], np.uint8) for name in names}


def crops(names: tuple[str, ...], count: int, seed: int, edge: int = SIDE) -> list[Picture]:
    """Random squares of the photographs, shrunk by 1.5 to 4 (less where a photograph is small) to ``edge`` pixels,
    half of them mirrored; each photograph equally often.

    Squares without any contrast are left out.
    """
    rng = np.random.default_rng(seed)
    photographs = _photographs(names)
    found = []
    while len(found) < count:
        name = names[len(found) % len(names)]
        image = photographs[name]
        room = min(image.shape[:2]) / edge
        factor = np.exp(rng.uniform(np.log(min(1.5, room)), np.log(min(4.0, room))))
        side = int(edge * factor)
        top, left = (int(rng.integers(0, length - side + 1)) for length in image.shape[:2])
        square = Image.fromarray(image[top : top + side, left : left + side])
        pixels = np.asarray(square.resize((edge, edge), Image.Resampling.LANCZOS))
        if pixels.std() < 8:
            continue
        if rng.random() < 0.5:
            pixels = pixels[:, ::-1]
        found.append(Picture(np.ascontiguousarray(pixels), PHOTOGRAPH, name))
    return found


def digits(edge: int = SIDE, copies: int = 1, *, crisp: bool = False) -> tuple[list[Picture], list[Picture]]:
    """scikit-learn's handwritten digits, enlarged from 8 x 8 to ``edge`` pixels; the last 300 (other writers) held out.

    Args:
        edge: pixels a side.
        copies: how often each of the 1497 to train on comes: first as it is, then turned by up to 10 degrees, up to
            8 % larger or smaller and moved by up to 1/27 of the side, each time differently.
        crisp: black and white with sharp strokes: enlarged to four times the side, cut at half and averaged.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    rng = np.random.default_rng(1)
    found = []
    for copy in range(copies):
        for small, label in zip(data.images[: -300 if copy else None], data.target, strict=False):
            image = Image.fromarray((small * 255 / 16).astype(np.uint8))
            side = 4 * edge if crisp else edge
            image = image.resize((side, side), Image.Resampling.BICUBIC)
            if copy:
                image = _varied(image, rng)
            if crisp:
                image = image.point(lambda value: 255 * (value >= 128)).resize((edge, edge), Image.Resampling.BOX)
            found.append(Picture(np.asarray(image), int(label), "digits"))
    count = len(data.images)
    return found[: count - 300] + found[count:], found[count - 300 : count]


def _varied(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    angle, size = np.deg2rad(rng.uniform(-10, 10)), rng.uniform(0.92, 1.08)
    right, down = rng.uniform(-1, 1, 2) * image.width / 27
    cosine, sine, middle = np.cos(angle) / size, np.sin(angle) / size, (image.width - 1) / 2
    across = middle - (cosine - sine) * middle - right
    along = middle - (sine + cosine) * middle - down
    matrix = (cosine, -sine, across, sine, cosine, along)
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


def shrunk(pixels: Pixels) -> NDArray[np.float64]:
    """A digit as the 64 numbers, 0 to 16, that a classifier of digits takes."""
    gray = Image.fromarray(pixels).convert("L")
    return np.asarray(gray.resize((8, 8), Image.Resampling.BOX), np.float64).ravel() * 16 / 255

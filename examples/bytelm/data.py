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


def crops(names: tuple[str, ...], count: int, seed: int) -> list[Picture]:
    """Random squares of the photographs, shrunk by 1.5 to 4, half of them mirrored; each photograph equally often.

    Squares without any contrast are left out.
    """
    rng = np.random.default_rng(seed)
    photographs = _photographs(names)
    found = []
    while len(found) < count:
        name = names[len(found) % len(names)]
        image = photographs[name]
        room = min(image.shape[:2]) / SIDE
        factor = np.exp(rng.uniform(np.log(1.5), np.log(min(4.0, room))))
        side = int(SIDE * factor)
        top, left = (int(rng.integers(0, length - side + 1)) for length in image.shape[:2])
        square = Image.fromarray(image[top : top + side, left : left + side])
        pixels = np.asarray(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
        if pixels.std() < 8:
            continue
        if rng.random() < 0.5:
            pixels = pixels[:, ::-1]
        found.append(Picture(np.ascontiguousarray(pixels), PHOTOGRAPH, name))
    return found


def digits() -> tuple[list[Picture], list[Picture]]:
    """scikit-learn's handwritten digits, enlarged from 8 x 8; 1497 to train, the last 300 (other writers) held out."""
    from sklearn.datasets import load_digits

    data = load_digits()
    found = []
    for small, label in zip(data.images, data.target, strict=True):
        image = Image.fromarray((small * 255 / 16).astype(np.uint8))
        pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        found.append(Picture(pixels, int(label), "digits"))
    return found[:-300], found[-300:]


def shrunk(pixels: Pixels) -> NDArray[np.float64]:
    """A digit as the 64 numbers, 0 to 16, that a classifier of digits takes."""
    gray = Image.fromarray(pixels).convert("L")
    return np.asarray(gray.resize((8, 8), Image.Resampling.BOX), np.float64).ravel() * 16 / 255

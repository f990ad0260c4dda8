"""A model whose answers are known beforehand: pictures carry a number, texts are met by the names inside them.

Every label has a unit vector of its own, seeded by its SHA-256. A row's picture shows the number of the row's labels at
all levels, and its embedding is the shortest one with equal cosines to all of their vectors, so one picture pass has a
right answer at every level at once. A text is encoded as the label that is left of it without the words of a known
template; any other text gets a vector of its own. Whatever joins labels, prompts and pictures by anything but their
names then shows.

Shapes: N pictures, H x W pixels, V texts, D embedding, L labels, T tuples of labels.
"""

import hashlib
import io
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from PIL import Image

from evaluation.encoding.preprocess import Preprocess
from evaluation.encoding.prompts import openai_templates

WIDTH = 1024
"""Of the embedding."""

SIDE = 32
"""Of the pictures and of the model's input, px."""

NULL = "nan"
"""The published name of a missing label."""

_BLOCKS = 4
_NULL_WEIGHT = 0.5  # a row with a missing label at one level must not answer "nan" at the others


@cache
def label_vector(label: str) -> np.ndarray:
    """float32 [D], unit, the label's own; nearly orthogonal to every other label's."""
    seed = int.from_bytes(hashlib.sha256(label.encode()).digest())
    vector_D = np.random.default_rng(seed).standard_normal(WIDTH)
    return (vector_D / np.linalg.norm(vector_D)).astype(np.float32)


def picture(number: int) -> Image.Image:
    """4 x 4 grey blocks, the bits of a number below 65,536, the lowest at the top left."""
    bits = (number >> np.arange(_BLOCKS * _BLOCKS)) & 1
    blocks = np.where(bits, 224, 32).astype(np.uint8).reshape(_BLOCKS, _BLOCKS)
    return Image.fromarray(blocks).resize((SIDE, SIDE), Image.Resampling.NEAREST)


def picture_bytes(number: int, form: str = "PNG") -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    picture(number).save(buffer, form)
    return buffer.getvalue()


def numbers_of(image_NHWC: np.ndarray) -> np.ndarray:
    """int64 [N], the numbers that uint8 pictures of any size show: the brightness in the middle of each block."""
    height, width = image_NHWC.shape[1:3]
    row_B, column_B = ((np.arange(_BLOCKS) + 0.5) * side / _BLOCKS for side in (height, width))
    middle_NBB = image_NHWC[:, row_B.astype(int)][:, :, column_B.astype(int), 1]
    bits_NP = (middle_NBB > 127).reshape(len(image_NHWC), -1)
    return bits_NP.astype(np.int64) @ (1 << np.arange(_BLOCKS * _BLOCKS))


class PlantedEncoder:
    """An Encoder that answers right wherever labels, prompts and pictures are joined by name.

    Attributes:
        logit_scale: as of trained models, and as the published protocol has it.
        preprocess: pictures come as they are.
        hash: another for other answers.
        variant: empty, since nothing else changes its embeddings.
    """

    logit_scale, variant = 100.0, ""
    preprocess = Preprocess(SIDE, "bilinear", "shortest", (0, 0, 0), (1, 1, 1))

    def __init__(self, tuples: Sequence[tuple[str, ...]], swapped: tuple[str, str] | None = None):
        """Knows these labels.

        Args:
            tuples: the labels of the pictures by their numbers: at every level one, "nan" where it is missing.
            swapped: two labels whose texts are taken for each other's.
        """
        labels = list(dict.fromkeys(label for one in tuples for label in one))
        self.label_LD = torch.from_numpy(np.stack([label_vector(label) for label in labels]))
        self.row = {label: index for index, label in enumerate(labels)}
        if swapped is not None:
            first, second = swapped
            self.row[first], self.row[second] = self.row[second], self.row[first]
        filled = [*(template("|") for template in openai_templates()), "a photo of |."]
        self.templates = [tuple(text.split("|")) for text in filled]
        self.image_TD = torch.from_numpy(np.stack([image_vector(one) for one in tuples]))
        self.hash = hashlib.sha256(repr((tuples, swapped)).encode()).hexdigest()

    def encode_images(self, image_NHWC: torch.Tensor) -> torch.Tensor:
        """Unit rows [N, D], float32, of uint8 RGB pictures."""
        return self.image_TD[torch.from_numpy(numbers_of(image_NHWC.numpy()))]

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        """Unit rows [V, D], float32, in the order of the texts."""
        known = [self._row(text) for text in texts]
        text_VD = self.label_LD[torch.tensor(known)]
        for index in [index for index, row in enumerate(known) if row < 0]:
            text_VD[index] = torch.from_numpy(label_vector(f"text {texts[index]}"))
        return text_VD

    def _row(self, text: str) -> int:
        """Of the label in a text; -1 where no template leaves a label."""
        for before, after in self.templates:
            if text.startswith(before) and text.endswith(after):
                row = self.row.get(text[len(before) : len(text) - len(after)])
                if row is not None:
                    return row
        return -1


def image_vector(labels: Sequence[str]) -> np.ndarray:
    """float32 [D], unit: as near to each of the labels as to the others, only half as near to a missing one."""
    distinct = list(dict.fromkeys(labels))
    label_LD = np.stack([label_vector(label) for label in distinct]).astype(np.float64)
    weight_L = np.array([_NULL_WEIGHT if label == NULL and len(distinct) > 1 else 1.0 for label in distinct])
    vector_D = np.linalg.pinv(label_LD) @ weight_L
    return (vector_D / np.linalg.norm(vector_D)).astype(np.float32)

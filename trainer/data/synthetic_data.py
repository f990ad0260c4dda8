"""`--dataset-type synthetic`: pictures and captions that are functions of the item's number, to measure without data.

Shapes: S picture edge in px; H, W, C height, width, colour.
"""

from collections.abc import Mapping

import numpy as np

from taxonomy.captions import CaptionFields, captions
from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS
from trainer.data.batch import DataSettings
from trainer.data.batch_maker import Label
from trainer.data.draws import generator, hash64
from trainer.data.order import Order, Split
from trainer.data.sampled_data import SampledData

NUM_TAXA = 1000
_ITEMS_PER_SHARD = 10_000
_SPOTS = 8
_SYLLABLES = ("ba", "cor", "del", "fi", "ga", "lu", "mo", "nis", "pa", "ri", "so", "tur", "va", "xan", "ze", "qui")


def open_synthetic(
    settings: DataSettings,
    source: object,
    split: str,
    rank: int,
    num_ranks: int,
    position: Mapping[str, object] | None,
) -> SampledData:
    """`settings.num_samples` made-up pairs of 1,000 taxa as a training set; `source` and `split` are not used.

    Raises:
        BadInputError: the number of samples is missing or smaller than a step.
    """
    if not settings.num_samples or settings.num_samples < 1:
        raise BadInputError("--dataset-type synthetic: say with --train-num-samples how many pairs to make up")
    full, rest = divmod(settings.num_samples, _ITEMS_PER_SHARD)
    order = Order([_ITEMS_PER_SHARD] * full + [rest] * (rest > 0), settings.seed)
    dealt = Split(order, rank, num_ranks, settings.accum_freq, settings.batch_size)
    return SampledData(SyntheticSource(settings.image_size), dealt, settings, position)


class SyntheticSource:
    """Made-up pairs (trainer.data.batch_maker.ItemSource). Pictures of a taxon share their colours, not their noise."""

    def __init__(self, image_size: int) -> None:
        self._size = image_size

    def picture(self, item: int) -> np.ndarray:
        """Coarse spots in the taxon's colours, uint8 [S, S, 3]."""
        pattern = generator(0, 0, item % NUM_TAXA, "synthetic taxon").integers(0, 224, (_SPOTS, _SPOTS, 3))
        noise = generator(0, 0, item, "synthetic picture").integers(0, 32, (_SPOTS, _SPOTS, 3))
        edge = -(-self._size // _SPOTS)
        spot_HWC = (pattern + noise).astype(np.uint8)
        return spot_HWC.repeat(edge, axis=0).repeat(edge, axis=1)[: self._size, : self._size]

    def label(self, item: int) -> Label:
        """All ten captions of the item's made-up taxon, and its number."""
        taxon = item % NUM_TAXA
        lineage: dict[str, str | None] = {rank: _name(taxon // 4 ** (6 - depth)) for depth, rank in enumerate(RANKS)}
        scientific_name = f"{lineage['genus']} {lineage['species']}"
        return Label(captions(CaptionFields(scientific_name, f"common {_name(taxon)}", lineage)), taxon)


def _name(number: int) -> str:
    draw = hash64(number)
    return "".join(_SYLLABLES[draw >> shift & 15] for shift in (0, 4, 8)).capitalize()

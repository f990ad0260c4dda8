"""`--dataset-type shards`: the shards of a taxaflow dataset, of either layout, by its manifest."""

from collections.abc import Mapping
from pathlib import Path

from taxonomy.errors import BadInputError
from taxonomy.manifest import dataset_folder, shards_sha256
from trainer.data.bad_samples import BadSample
from trainer.data.batch import DataSettings
from trainer.data.batch_maker import Label
from trainer.data.caption_choice import texts_of_sample
from trainer.data.draws import hash64
from trainer.data.order import Order, Split
from trainer.data.sample_label import record_of, taxon_of
from trainer.data.sampled_data import SampledData, first_step
from trainer.data.shard_index import ShardIndex, checked_shards


def open_shards(
    settings: DataSettings,
    manifest: Path,
    split: str,
    rank: int,
    num_ranks: int,
    position: Mapping[str, object] | None,
    offsets_folder: Path | None = None,
) -> SampledData:
    """The shards of a split as a training set; the 64 that are read first are checked against the manifest.

    Args:
        settings: how samples become batches.
        manifest: the dataset's manifest.json, or one of its immutable copies below `manifests/`.
        split: train, val or test.
        rank: of this process.
        num_ranks: processes that share each step.
        position: see SampledData.
        offsets_folder: see trainer/data/tar_index.py.

    Raises:
        BadInputError: the manifest or its shards cannot be used, are too small, or do not fit the position.
    """
    shards = checked_shards(manifest, split)
    index = ShardIndex(dataset_folder(manifest), shards, offsets_folder)
    order = Order([shard.num_samples for shard in shards], settings.seed)
    dealt = Split(order, rank, num_ranks, settings.accum_freq, settings.batch_size, shards_sha256(shards))
    epoch, step = divmod(first_step(dealt, settings.seed, position), dealt.steps_per_epoch)
    _check_shards(index, order.first_shards(epoch, step * dealt.step_size).tolist(), rank, manifest)
    return SampledData(ShardSource(index), dealt, settings, position)


def _check_shards(index: ShardIndex, shards: list[int], rank: int, manifest: Path) -> None:
    """Each rank begins elsewhere, so that those of one machine share reading headers (trainer/data/tar_index.py)."""
    start = hash64(rank) % len(shards)
    found = {shard: index.check(shard) for shard in shards[start:] + shards[:start]}
    wrong = [found[shard] for shard in sorted(shards) if found[shard]]
    if wrong:
        raise BadInputError(
            f"--train-data {manifest}: {len(wrong)} of {len(shards)} shards looked at are bad: {wrong[0]}"
        )


class ShardSource:
    """The samples of a dataset: trainer.data.batch_maker.ItemSource."""

    def __init__(self, index: ShardIndex) -> None:
        self._index = index

    def picture(self, item: int) -> bytes:
        """The picture member."""
        return self._index.picture(item)

    def label(self, item: int) -> Label:
        """Captions made from the JSON member, and its taxon_id."""
        record = record_of(self._index.record(item))
        texts = texts_of_sample(record)
        if (taxon := taxon_of(record, texts)) is None:
            raise BadSample("no_caption")
        return Label(texts, taxon)

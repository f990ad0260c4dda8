"""What is measured while training: the loss of --val-data, and zero-shot accuracy.

Zero-shot accuracy is measured as `taxaflow eval` does: on the held-out val split of the dataset, ImageNet's folders and
benchmarks. All ranks share the pictures. Random generators are left as they were, so that losses are the same with and
without it.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evaluation.benchmarks.benchmark import FIXED, PUBLISHED, SCIENTIFIC_NAME, Benchmark, check_pictures
from evaluation.benchmarks.imagenet_val import open_imagenet_val
from evaluation.benchmarks.registry import open_benchmark
from evaluation.benchmarks.shards import open_shards
from evaluation.distributed import ALONE, Share, sum_over_ranks
from evaluation.encoding.encoder import OpenClipEncoder, evaluation_mode
from evaluation.encoding.picture_batches import Source
from evaluation.errors import UnreadableImageError
from evaluation.evaluate import run
from evaluation.loading.facts import ModelFacts
from evaluation.model import get_tokenizer
from evaluation.run_options import HEADLINE, RunOptions
from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.manifest import read_manifest
from trainer.data.batch import DataSettings
from trainer.data.loader_workers import outlive_signals
from trainer.distributed import Ranks, broadcast_buffers, from_first
from trainer.settings.config import TrainConfig
from trainer.steps.model import TrainedModel
from trainer.steps.step import StepSettings
from trainer.val_loss import ValidationLoss

VAL_SPLIT = "val"

_LOG = logging.getLogger(__name__)

_DATA_FLAGS = re.compile(r"--(train-data|shards|imagenet-val)(?![\w-])")
"""What the readers of validation data call the flag that names it."""


@dataclass(frozen=True)
class LabelledSet:
    """Pictures to classify.

    Attributes:
        name: prefix of its metrics.
        benchmark: the pictures and their classes.
        class_list: "published" or "fixed".
        prompt_set: what stands for a class; None for the protocol's.
    """

    name: str
    benchmark: Benchmark
    class_list: str = PUBLISHED
    prompt_set: str | None = None


@dataclass(frozen=True)
class Validation:
    """What is measured while training, and how often.

    Attributes:
        config: says how often.
        ranks: share the pictures.
        facts: of the model.
        sets: for zero-shot accuracy, each at the level of its headline alone.
        loss: the pairs of --val-data; None without.
    """

    config: TrainConfig
    ranks: Ranks
    facts: ModelFacts
    sets: tuple[LabelledSet, ...]
    loss: ValidationLoss | None

    @classmethod
    def open(cls, config: TrainConfig, facts: ModelFacts, settings: DataSettings, ranks: Ranks) -> "Validation":
        """The sets and pairs that the flags name, and the val split of a dataset that has one.

        Raises:
            BadInputError: a folder, val split or benchmark cannot be used.
        """
        sets = _sets(config) if config.zeroshot_frequency > 0 else []
        with _blaming(_val_flag(config)):
            loss = ValidationLoss.open(config, settings, ranks)
        return cls(config, ranks, facts, tuple(map(_lasting, sets)), loss)

    def measure(self, model: TrainedModel, settings: StepSettings, epoch: int, is_last: bool) -> dict[str, float]:
        """What is due at the end of an epoch, counted from 1, or of the run; by name, the same on all ranks."""
        config = self.config
        broadcast_buffers(model.module, self.ranks)  # statistics of batch norms differ by rank
        found: dict[str, float] = {}
        if self.loss is not None and (is_last or epoch % config.val_frequency == 0):
            found["loss"] = self.loss.measure(model, settings)
        if self.sets and (is_last or epoch % config.zeroshot_frequency == 0):
            found |= self._zero_shot(model)
        return found

    def _zero_shot(self, model: TrainedModel) -> dict[str, float]:
        """`<set>-top1` and so on of every set; the interval of top1 as `-low` and `-high`."""
        share = Share(self.ranks.rank, self.ranks.size, sum_over_ranks) if self.ranks.size > 1 else ALONE
        encoder = OpenClipEncoder(
            model.module, self.facts, get_tokenizer(self.facts), self.ranks.device, model.autocast
        )
        metrics: dict[str, float] = {}
        with evaluation_mode(model.module):
            for labelled in self.sets:
                metrics |= self._of_set(labelled, encoder, share)
        return from_first(metrics, self.ranks)

    def _of_set(self, labelled: LabelledSet, encoder: OpenClipEncoder, share: Share) -> dict[str, float]:
        """Figures on rank 0; none where the model gives no numbers any more, which is no reason to end a run."""
        options = RunOptions(
            taxa=(HEADLINE,),
            class_list=labelled.class_list,
            prompt_set=labelled.prompt_set,
            batch_size=self.config.zeroshot_batch_size,
            num_workers=self.config.workers,
            worker_init=outlive_signals,
            details=False,
            progress=False,
        )
        try:
            records = run(labelled.benchmark, encoder, options, share)
        except WorkFailedError as error:  # on all ranks: they have the same embeddings
            if self.ranks.is_first:
                _LOG.warning("%s is not measured: %s", labelled.name, error)
            return {}
        return _figures(labelled.name, records[0]) if records else {}


def _figures(name: str, record: Mapping[str, Any]) -> dict[str, float]:
    found = {metric: each["value"] for metric, each in record["metrics"].items()}
    top1 = record["metrics"]["top1"]
    found |= {"top1-low": top1["low"], "top1-high": top1["high"], "chance": record["chance"]}
    found |= {"images": record["num_images"], "unreadable": record["num_unreadable"]}
    found |= {"missing": record["num_missing"] or None}
    return {f"{name}-{key}": value for key, value in found.items() if value is not None}


def _sets(config: TrainConfig) -> list[LabelledSet]:
    """Those that the flags name; the first one decides which evaluation is the best."""
    sets = []
    if config.imagenet_val:
        sets.append(LabelledSet("imagenet", open_imagenet_val(Path(config.imagenet_val))))
    if config.imagenet_v2:
        with _blaming("--imagenet-v2"):
            sets.append(LabelledSet("imagenetv2", open_imagenet_val(Path(config.imagenet_v2))))
    if (manifest := _val_manifest(config)) is not None:
        with _blaming(_val_flag(config)):
            sets.append(_split_set(manifest))
    csv_root, images_root = (Path(root) if root else None for root in (config.benchmarks_root, config.images_root))
    for name in filter(None, map(str.strip, (config.zeroshot_benchmarks or "").split(","))):
        sets.append(LabelledSet(name, open_benchmark(name, None, csv_root, images_root)))
    for labelled in sets:
        check_pictures(labelled.benchmark)
    return sets


def _val_flag(config: TrainConfig) -> str:
    """The flag that names the validation data."""
    return "--val-data" if config.val_data else "--train-data"


@contextmanager
def _blaming(flag: str) -> Iterator[None]:
    """Have complaints of readers that serve several flags name the one that the data came from."""
    try:
        yield
    except BadInputError as error:
        raise BadInputError(_DATA_FLAGS.sub(flag, str(error), count=1)) from error


def _val_manifest(config: TrainConfig) -> Path | None:
    """The manifest whose val split is held out: that of --val-data, else of the training data if it has one."""
    if config.val_data and config.val_data.endswith(".json"):
        return Path(config.val_data)
    if config.val_data or config.dataset_type != "shards" or not config.train_data:
        return None
    manifest = Path(config.train_data)
    return manifest if VAL_SPLIT in read_manifest(manifest, "--train-data").splits else None


def _split_set(manifest: Path) -> LabelledSet:
    """The val split; its classes are the scientific names in it, or the common names where it has no others."""
    benchmark = open_shards(manifest, VAL_SPLIT)
    benchmark = replace(benchmark, rows=replace(benchmark.rows, lineage={}))  # no roll-ups, which would be planned
    return LabelledSet(VAL_SPLIT, benchmark, FIXED, "sci" if benchmark.headline == SCIENTIFIC_NAME else "com")


def _lasting(labelled: LabelledSet) -> LabelledSet:
    """The set, read so that what happens to its files later does not end the run."""
    rows = labelled.benchmark.rows
    sources = [None if source is None else _LastingSource(source) for source in rows.sources]
    return replace(labelled, benchmark=replace(labelled.benchmark, rows=replace(rows, sources=sources)))


@dataclass(frozen=True, slots=True)
class _LastingSource:
    """Reads a picture; one whose file or shard fails is unreadable. Sent to worker processes."""

    source: Source

    def __call__(self) -> bytes:
        try:
            return self.source.read_bytes() if isinstance(self.source, Path) else self.source()
        except (OSError, WorkFailedError) as error:
            raise UnreadableImageError(str(error)) from error

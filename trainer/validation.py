"""What is measured while training: the loss of --val-data, and zero-shot accuracy.

Zero-shot accuracy is that of the held-out val split of the dataset, of folders of classes and of benchmarks. All ranks
share the pictures. Random generators are left as they were, so that losses are the same with and without it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist

from evaluation.benchmarks.benchmark import Benchmark, check_pictures
from evaluation.benchmarks.registry import open_benchmark
from evaluation.distributed import ALONE, Share
from evaluation.encoding.encoder import OpenClipEncoder, evaluation_mode
from evaluation.encoding.prompts import OPENAI_AND_PLAIN, label_prompts
from evaluation.errors import UnreadableImageError
from evaluation.evaluate import run
from evaluation.labelled_images import LabelledImages, folder_of_classes
from evaluation.loading.facts import ModelFacts
from evaluation.model import get_tokenizer
from evaluation.run_options import HEADLINE, RunOptions
from evaluation.zero_shot import ZeroShotResult, evaluate
from taxonomy.errors import BadInputError
from trainer.data.bad_samples import BadSample
from trainer.data.batch import DataSettings
from trainer.data.loader_workers import outlive_signals
from trainer.data.shard_index import ShardIndex, read_manifest
from trainer.data.shards_data import ShardSource, dataset_folder
from trainer.distributed import Ranks, broadcast_buffers, from_first
from trainer.settings.config import TrainConfig
from trainer.steps.model import TrainedModel
from trainer.steps.step import StepSettings
from trainer.val_loss import ValidationLoss

VAL_SPLIT = "val"
_PROMPT_KINDS = ("sci", "taxon", "com")
"""What stands for a class, by the first kind that its taxon has."""


@dataclass(frozen=True)
class LabelledSet:
    """Pictures to classify, with the texts of every class.

    Attributes:
        name: prefix of its metrics.
        images: the pictures.
        prompts: the texts of each class.
    """

    name: str
    images: LabelledImages
    prompts: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Validation:
    """What is measured while training, and how often.

    Attributes:
        config: says how often.
        ranks: share the pictures.
        facts: of the model.
        sets: for zero-shot accuracy.
        benchmarks: of the registry, for zero-shot accuracy at their published level.
        loss: the pairs of --val-data; None without.
    """

    config: TrainConfig
    ranks: Ranks
    facts: ModelFacts
    sets: tuple[LabelledSet, ...]
    benchmarks: tuple[Benchmark, ...]
    loss: ValidationLoss | None

    @classmethod
    def open(cls, config: TrainConfig, facts: ModelFacts, settings: DataSettings, ranks: Ranks) -> "Validation":
        """The sets and pairs that the flags name, and the val split of a dataset that has one.

        Raises:
            BadInputError: a folder has no classes, or a val split cannot be used.
        """
        sets = []
        if config.zeroshot_frequency > 0:
            folders = {"imagenet": config.imagenet_val, "imagenetv2": config.imagenet_v2}
            sets += [_folder_set(name, Path(folder)) for name, folder in folders.items() if folder]
        with _blaming("--val-data" if config.val_data else "--train-data"):
            if config.zeroshot_frequency > 0 and (manifest := _val_manifest(config)) is not None:
                sets.append(_split_set(manifest))
            loss = ValidationLoss.open(config, settings, ranks)
        return cls(config, ranks, facts, tuple(sets), _benchmarks(config), loss)

    def measure(self, model: TrainedModel, settings: StepSettings, epoch: int, is_last: bool) -> dict[str, float]:
        """What is due at the end of an epoch, counted from 1, or of the run; by name, the same on all ranks."""
        config = self.config
        broadcast_buffers(model.module, self.ranks)  # statistics of batch norms differ by rank
        found: dict[str, float] = {}
        if self.loss is not None and (is_last or epoch % config.val_frequency == 0):
            found["loss"] = self.loss.measure(model, settings)
        if (self.sets or self.benchmarks) and (is_last or epoch % config.zeroshot_frequency == 0):
            found |= self._zero_shot(model)
        return found

    def _zero_shot(self, model: TrainedModel) -> dict[str, float]:
        """`<set>-top1` and so on of every set; the interval of top1 as `-low` and `-high`."""
        share = Share(self.ranks.rank, self.ranks.size, _sum_over_ranks) if self.ranks.size > 1 else ALONE
        encoder = OpenClipEncoder(
            model.module, self.facts, get_tokenizer(self.facts), self.ranks.device, model.autocast
        )
        metrics: dict[str, float] = {}
        with evaluation_mode(model.module):
            for labelled in self.sets:
                result = evaluate(
                    labelled.images,
                    labelled.prompts,
                    encoder,
                    self.facts,
                    self.config.zeroshot_batch_size,
                    self.config.workers,
                    share,
                    outlive_signals,
                )
                metrics |= _figures(labelled.name, result)
            for benchmark in self.benchmarks:
                metrics |= self._benchmark(benchmark, encoder, share)
        return metrics

    def _benchmark(self, benchmark: Benchmark, encoder: OpenClipEncoder, share: Share) -> dict[str, float]:
        """As `_figures`, of the published level alone; rank 0 measures and tells the others."""
        options = RunOptions(
            taxa=(HEADLINE,),
            batch_size=self.config.zeroshot_batch_size,
            num_workers=self.config.workers,
            worker_init=outlive_signals,
            details=False,
        )
        records = run(benchmark, encoder, options, share)
        return from_first(_recorded(benchmark.name, records[0]) if records else {}, self.ranks)


def _figures(name: str, result: ZeroShotResult) -> dict[str, float]:
    found = {metric: value.value for metric, value in result.metrics.items()}
    top1 = result.metrics["top1"]
    found |= {"top1-low": top1.low, "top1-high": top1.high, "chance": result.chance}
    found |= {"images": result.num_images, "unreadable": result.num_unreadable}
    return {f"{name}-{key}": value for key, value in found.items() if value is not None}


def _recorded(name: str, record: Mapping[str, Any]) -> dict[str, float]:
    found = {metric: each["value"] for metric, each in record["metrics"].items()}
    top1 = record["metrics"]["top1"]
    found |= {"top1-low": top1["low"], "top1-high": top1["high"], "chance": record["chance"]}
    found |= {"images": record["num_images"], "unreadable": record["num_unreadable"], "missing": record["num_missing"]}
    return {f"{name}-{key}": value for key, value in found.items() if value is not None}


def _benchmarks(config: TrainConfig) -> tuple[Benchmark, ...]:
    """Those of --zeroshot-benchmarks."""
    if not config.zeroshot_benchmarks or config.zeroshot_frequency == 0:
        return ()
    csv_root, images_root = (Path(root) if root else None for root in (config.benchmarks_root, config.images_root))
    names = [name.strip() for name in config.zeroshot_benchmarks.split(",")]
    opened = tuple(open_benchmark(name, None, csv_root, images_root) for name in names)
    for benchmark in opened:
        check_pictures(benchmark)
    return opened


def _sum_over_ranks(tensor: torch.Tensor) -> torch.Tensor:
    total = tensor.clone()
    dist.all_reduce(total)
    return total


@contextmanager
def _blaming(flag: str) -> Iterator[None]:
    """Have complaints of what reads --train-data name the flag that the data came from."""
    try:
        yield
    except BadInputError as error:
        raise BadInputError(str(error).replace("--train-data", flag, 1)) from error


def _folder_set(name: str, folder: Path) -> LabelledSet:
    images = folder_of_classes(folder)
    return LabelledSet(name, images, [label_prompts(label, OPENAI_AND_PLAIN) for label in images.class_names])


def _val_manifest(config: TrainConfig) -> Path | None:
    """The manifest whose val split is held out: that of --val-data, else of the training data if it has one."""
    if config.val_data and config.val_data.endswith(".json"):
        return Path(config.val_data)
    if config.val_data or config.dataset_type != "shards" or not config.train_data:
        return None
    manifest = Path(config.train_data)
    has_val = bool(json.loads(manifest.read_bytes())["splits"].get(VAL_SPLIT))
    return manifest if has_val else None


def _split_set(manifest: Path) -> LabelledSet:
    """The val split; its classes are the taxa in it, in the order of their ids."""
    index = _checked_index(manifest)
    names: dict[int, str] = {}
    found: list[tuple[int, int]] = []
    for item in range(len(index)):
        if (label := _label(index, item)) is not None:
            names.setdefault(*label)
            found.append((item, label[0]))
    taxa = sorted(names)
    number = {taxon: place for place, taxon in enumerate(taxa)}
    images = LabelledImages(
        [names[taxon] for taxon in taxa],
        [number[taxon] for _, taxon in found],
        _PicturesOf(index, [item for item, _ in found]),
    )
    return LabelledSet(VAL_SPLIT, images, [[names[taxon]] for taxon in taxa])


def _checked_index(manifest: Path) -> ShardIndex:
    """The val split, every shard of it as the manifest says."""
    shards = read_manifest(manifest, VAL_SPLIT)
    index = ShardIndex(dataset_folder(manifest), shards)
    wrong = [text for shard in range(len(shards)) if (text := index.check(shard))]
    if wrong:
        raise BadInputError(f"--train-data {manifest}: {len(wrong)} of {len(shards)} val shards are bad: {wrong[0]}")
    return index


def _label(index: ShardIndex, item: int) -> tuple[int, str] | None:
    """The taxon of a sample and the text that stands for it; None where its JSON tells neither."""
    try:
        label = ShardSource(index).label(item)
    except BadSample:
        return None
    texts = [label.texts[kind] for kind in _PROMPT_KINDS if kind in label.texts]
    return (label.taxon, texts[0]) if texts else None


@dataclass(frozen=True)
class _PicturesOf:
    """Place in the list -> encoded picture; sent to worker processes."""

    index: ShardIndex
    items: Sequence[int]

    def __call__(self, number: int) -> bytes:
        try:
            return self.index.picture(self.items[number])
        except BadSample as bad:
            raise UnreadableImageError(f"sample {self.items[number]}: {bad.reason}") from bad

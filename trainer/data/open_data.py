"""--train-data and its flags -> an open training set."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from evaluation.loading.facts import ModelFacts
from taxonomy.captions import CAPTION_KINDS
from taxonomy.errors import BadInputError
from trainer.data.batch import DataSettings, TrainData
from trainer.data.caption_choice import CaptionPolicy
from trainer.data.csv_data import open_csv
from trainer.data.shards_data import open_shards
from trainer.data.synthetic_data import open_synthetic
from trainer.data.webdataset_check import check_first_samples, check_step
from trainer.data.webdataset_data import open_webdataset
from trainer.data.webdataset_list import expand_shards
from trainer.distributed import Ranks
from trainer.settings.config import TrainConfig

TRAIN_SPLIT = "train"


def data_settings(
    config: TrainConfig,
    facts: ModelFacts,
    tokens_of_texts: Callable[[list[str]], torch.Tensor],
    device: torch.device,
) -> DataSettings:
    """How the flags want pairs made into batches, for a model of these facts."""
    return DataSettings(
        batch_size=config.batch_size,
        accum_freq=config.accum_freq,
        num_workers=config.workers,
        seed=config.seed,
        image_size=facts.image_size,
        tokens_of_texts=tokens_of_texts,
        caption=caption_policy(config),
        resize=config.resize,
        crop_scale=config.crop_scale,
        crop_ratio=config.crop_ratio,
        interpolation=config.crop_interpolation,
        context_length=facts.context_length,
        shuffle_window=config.shuffle_window,
        resampled=config.dataset_resampled,
        num_samples=config.train_num_samples,
        csv_image_column=config.csv_img_key,
        csv_caption_column=config.csv_caption_key,
        csv_separator=config.csv_separator,
        needs_taxon=config.loss == "multi_positive",
        upsampling_factors=config.train_data_upsampling_factors,
        pin_memory=device.type == "cuda",
    )


def caption_policy(config: TrainConfig) -> CaptionPolicy:
    """What --text_type and --caption-kinds ask for."""
    if config.text_type == "mixed":
        weights = config.caption_weights
        return CaptionPolicy.weighted(weights) if weights else CaptionPolicy.every_kind()
    if config.text_type == "random":
        return CaptionPolicy.published()
    kind = next(kind for kind in CAPTION_KINDS if kind.lower() == config.text_type.lower())
    return CaptionPolicy.fixed(kind)


def open_data(
    config: TrainConfig, settings: DataSettings, ranks: Ranks, position: Mapping[str, object] | None
) -> TrainData:
    """The training set from a position on.

    Raises:
        BadInputError: it cannot be used, or the position is one of other data or settings.
    """
    if not config.train_data and config.dataset_type != "synthetic":
        raise BadInputError("--train-data is missing: give a manifest.json, tar patterns or a CSV (see --dataset-type)")
    return open_source(config.dataset_type, config.train_data or "", TRAIN_SPLIT, settings, ranks, position)


def open_source(
    dataset_type: str,
    source: str,
    split: str,
    settings: DataSettings,
    ranks: Ranks,
    position: Mapping[str, object] | None,
) -> TrainData:
    """A set of pairs of one dataset type; `split` matters to manifests alone.

    Raises:
        BadInputError: it cannot be used, or the position is one of other data or settings.
    """
    if dataset_type == "synthetic":
        return open_synthetic(settings, None, split, ranks.rank, ranks.size, position)
    if dataset_type == "shards":
        return open_shards(settings, Path(source), split, ranks.rank, ranks.size, position)
    if dataset_type == "csv":
        return open_csv(settings, Path(source), split, ranks.rank, ranks.size, position)
    return _open_tars(settings, source, split, ranks, position)


def _open_tars(
    settings: DataSettings, source: str, split: str, ranks: Ranks, position: Mapping[str, object] | None
) -> TrainData:
    data = open_webdataset(settings, source, split, ranks.rank, ranks.size, position)
    check_step(settings, data.num_samples, ranks.size)
    shards = expand_shards(source, settings.upsampling_factors, settings.resampled).urls
    check_first_samples(settings, shards[ranks.rank % len(shards)])
    return data

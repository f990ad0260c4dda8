"""The run's own loss over pairs that it does not train on (`--val-data`), all ranks sharing them.

Shapes: B pairs, V distinct texts, D embedding.
"""

from dataclasses import dataclass, replace

import torch

from evaluation.encoding.encoder import evaluation_mode
from evaluation.random_state import random_state_kept
from trainer.data.batch import DataSettings, TrainData
from trainer.data.open_data import open_source
from trainer.distributed import Ranks, mean_over_ranks
from trainer.settings.config import TrainConfig, dataset_type_of
from trainer.steps.model import TrainedModel
from trainer.steps.step import StepSettings, loss_of, step_inputs

SPLIT = "val"


@dataclass(frozen=True)
class ValidationLoss:
    """Validation pairs, read in the same order each time: the middle of each picture, one fixed draw of captions."""

    source: str
    settings: DataSettings
    ranks: Ranks

    @classmethod
    def open(cls, config: TrainConfig, settings: DataSettings, ranks: Ranks) -> "ValidationLoss | None":
        """The pairs of --val-data, in batches as large as in training where they suffice; None without the flag.

        Raises:
            BadInputError: they cannot be used.
        """
        if not config.val_data or config.val_frequency == 0:
            return None
        plain = replace(
            settings,
            batch_size=1,
            accum_freq=1,
            num_workers=min(settings.num_workers, 1),
            crop_scale=(1.0, 1.0),
            crop_ratio=(1.0, 1.0),
            resampled=False,
            upsampling_factors=None,
            num_samples=config.val_num_samples,
        )
        if dataset_type_of(config.val_data) == "webdataset":
            ranks = replace(ranks, rank=0, size=1)  # shards may be fewer than ranks: each reads them all
        found = cls(config.val_data, plain, ranks)
        data = found._open()
        batch_size = max(1, min(config.batch_size, data.num_samples // ranks.size))
        data.close()
        return replace(found, settings=replace(plain, batch_size=batch_size))

    def measure(self, model: TrainedModel, settings: StepSettings) -> float:
        """The mean loss over all batches and ranks; random generators are left as they were."""
        data = self._open()
        total = torch.zeros((), dtype=torch.float64, device=self.ranks.device)
        try:
            batches = data.batches()
            with random_state_kept(), evaluation_mode(model.module), torch.no_grad():
                for _ in range(data.batches_per_epoch):
                    inputs = step_inputs([next(batches)], self.ranks.device)
                    with model.autocast():
                        image_BD = model.parts.encode_image(inputs.images[0])
                        text_VD = model.parts.encode_text(inputs.texts.token_VL)
                    total += loss_of(model.parts, inputs, image_BD, text_VD, settings, self.ranks)
        finally:
            data.close()
        return float(mean_over_ranks(total / data.batches_per_epoch, self.ranks))

    def _open(self) -> TrainData:
        return open_source(dataset_type_of(self.source), self.source, SPLIT, self.settings, self.ranks, None)

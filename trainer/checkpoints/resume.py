"""Going on from a checkpoint: which one, whether this run may, and everything put back.

Shapes: W ranks, B samples per rank and micro-batch, k micro-batches per step, G = W B k.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from evaluation.loading.facts import ModelFacts
from taxonomy.errors import BadInputError
from trainer.checkpoints.checkpoint import CheckpointContent, newest_valid
from trainer.distributed import Ranks
from trainer.record.run_folder import RunFolder
from trainer.settings.config import TrainConfig

_LEARNING = (
    *("lr", "warmup", "epochs", "max_steps", "lr_scheduler", "wd", "beta1", "beta2", "eps", "batch_size", "accum_freq"),
    *("loss", "local_loss", "gather_with_grad", "grad_clip_norm", "precision", "text_type", "caption_kinds", "resize"),
)
"""Settings whose change makes a resumed run another one than it would have been."""


@dataclass(frozen=True)
class Resumed:
    """A checkpoint to go on from.

    Attributes:
        path: its folder.
        content: all of it.
        at_epoch: go on at the start of its epoch rather than at its step.
    """

    path: Path
    content: CheckpointContent
    at_epoch: bool

    def position(self, ranks: Ranks) -> dict[str, Any]:
        """Where the data of this rank goes on."""
        if self.at_epoch:
            return {"epoch": self.content.state["epoch"]}
        return (self.of_rank(ranks) or self.content.per_rank[0])["position"]

    def of_rank(self, ranks: Ranks) -> dict[str, Any] | None:
        """What the checkpoint holds for this rank; None where it is of another number of ranks."""
        per_rank = self.content.per_rank
        return per_rank[ranks.rank] if len(per_rank) == ranks.size else None

    def meter(self, ranks: Ranks) -> dict[str, Any] | None:
        """The account since the last logged line; of another number of ranks, rank 0 has that of all."""
        if (own := self.of_rank(ranks)) is not None:
            return own["meter"]
        if not ranks.is_first:
            return None
        meters = [of_rank["meter"] for of_rank in self.content.per_rank]
        return meters[0] | {"counts": dict(sum((Counter(meter["counts"]) for meter in meters), Counter()))}

    def without_tensors(self) -> "Resumed":
        """The same without weights and optimizer, which are large and needed once."""
        return dataclasses.replace(self, content=dataclasses.replace(self.content, model_state={}, optimizer_state={}))

    def step(self, steps_per_epoch: int) -> int:
        """Optimizer steps done, of a run with so many per epoch."""
        return self.content.state["epoch"] * steps_per_epoch if self.at_epoch else self.content.state["step"]


def find(config: TrainConfig, folder: RunFolder) -> tuple[Path | None, list[str]]:
    """The checkpoint that --resume means, None to begin anew, and lines to say; reads it all, so once for all ranks.

    Raises:
        BadInputError: the checkpoint named is not there or damaged, or all of this run's are damaged.
    """
    if config.resume is None:
        return None, []
    if config.resume != "latest":
        return Path(config.resume), []
    path, remarks = newest_valid(folder.checkpoints)
    if path is None and remarks:
        raise BadInputError(
            f"--resume latest: {remarks[0]}, and there is none; remove {folder.checkpoints} to begin anew"
        )
    if path is None:
        return None, [f"--resume latest: no checkpoint in {folder.checkpoints}, begins anew"]
    return path, remarks


def check_facts(resumed: Resumed, facts: ModelFacts, force: bool) -> str | None:
    """Whether the model is built, and its pictures made, as for the checkpoint; a line to say where that is forced.

    Raises:
        BadInputError: not, and that is not forced. Of most of it weights hold no trace.
    """
    before, now = (_flat(one) for one in (resumed.content.state["model_facts"], facts.to_dict()))
    differing = [f"{key} {before.get(key)}, this run has {now.get(key)}" for key in now if before.get(key) != now[key]]
    if not differing:
        return None
    difference = f"--resume {resumed.path}: trained with {'; '.join(differing[:3])}"
    if not force:
        raise BadInputError(f"{difference}; give the flags of that run, or add --force")
    return f"forced: {difference}"


def _flat(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Name -> value of the facts that weights do not tell, in JSON's types; parts of the model by their own names."""
    plain = json.loads(json.dumps(dict(facts)))
    flat = {key: plain.get(key) for key in ("activation", "image_mean", "image_std", "interpolation", "resize_mode")}
    for key, value in plain["model_config"].items():
        parts = value if isinstance(value, dict) else {"": value}
        flat |= {f"{key} {part}".strip(): one for part, one in parts.items() if key != "quick_gelu"}
    return flat


def changes(resumed: Resumed, config: TrainConfig) -> list[str]:
    """A line that names the settings of learning that are others than before; empty where there are none."""
    before, now = resumed.content.state["config"], dataclasses.asdict(config)
    changed = [f"{key} {before[key]} -> {now[key]}" for key in _LEARNING if before.get(key, now[key]) != now[key]]
    return [f"--resume: changed since the checkpoint: {', '.join(changed)}"] if changed else []


def restore(resumed: Resumed, module: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put weights and the optimizer's state back; its settings stay those of this run.

    Raises:
        BadInputError: the checkpoint is of another architecture; names parameters that differ.
    """
    settings = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    try:
        module.load_state_dict(dict(resumed.content.model_state))
        optimizer.load_state_dict(dict(resumed.content.optimizer_state))
    except (RuntimeError, ValueError, KeyError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise BadInputError(f"--resume {resumed.path}: of another architecture: {' '.join(lines)[:300]}") from error
    for group, of_this_run in zip(optimizer.param_groups, settings, strict=True):
        group.update(of_this_run)

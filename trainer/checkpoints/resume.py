"""Going on from a checkpoint: which one, whether this run may, and everything put back.

Shapes: W ranks, B samples per rank and micro-batch, k micro-batches per step, G = W B k.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from evaluation.facts import ModelFacts
from trainer.checkpoints.checkpoint import CheckpointContent, newest_valid
from trainer.distributed import Ranks
from trainer.errors import BadInput
from trainer.record.run_folder import RunFolder
from trainer.settings.config import TrainConfig


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
        return {"epoch": self.content.state["epoch"]} if self.at_epoch else self.of_rank(ranks)["position"]

    def of_rank(self, ranks: Ranks) -> dict[str, Any]:
        """What the checkpoint holds for this rank; where there were fewer ranks, for another one."""
        return self.content.per_rank[ranks.rank % len(self.content.per_rank)]

    def step(self, steps_per_epoch: int) -> int:
        """Optimizer steps done, of a run with so many per epoch."""
        return self.content.state["epoch"] * steps_per_epoch if self.at_epoch else self.content.state["step"]


def find(config: TrainConfig, folder: RunFolder) -> tuple[Path | None, list[str]]:
    """The checkpoint that --resume means, None to begin anew, and lines to say; reads it all, so once for all ranks.

    Raises:
        BadInput: the checkpoint named is not there or damaged, or all of this run's are damaged.
    """
    if config.resume is None:
        return None, []
    if config.resume != "latest":
        return Path(config.resume), []
    path, remarks = newest_valid(folder.checkpoints)
    if path is None and remarks:
        raise BadInput(f"--resume latest: {remarks[0]}, and there is none; remove {folder.checkpoints} to begin anew")
    if path is None:
        return None, [f"--resume latest: no checkpoint in {folder.checkpoints}, begins anew"]
    return path, remarks


def check_activation(resumed: Resumed, facts: ModelFacts, force: bool) -> str | None:
    """Whether the model has the activation that the checkpoint was trained with; a line to say where it is forced.

    Raises:
        BadInput: it has another, and that is not forced. Weights hold no trace of it.
    """
    before = resumed.content.state["model_facts"]["activation"]
    if before == facts.activation:
        return None
    difference = f"--resume {resumed.path}: trained with activation {before}, this run has {facts.activation}"
    if not force:
        raise BadInput(f"{difference}; give --activation {before}, or add --force")
    return f"forced: {difference}"


def restore(resumed: Resumed, module: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put weights and optimizer back.

    Raises:
        BadInput: the checkpoint is of another architecture; names parameters that differ.
    """
    try:
        module.load_state_dict(dict(resumed.content.model_state))
        optimizer.load_state_dict(dict(resumed.content.optimizer_state))
    except (RuntimeError, ValueError, KeyError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise BadInput(f"--resume {resumed.path}: of another architecture: {' '.join(lines)[:300]}") from error

"""Checkpoints in the published format, one `.pt` file each, for tools that read open_clip's."""

from pathlib import Path
from typing import Any

import torch

from taxonomy.errors import WorkFailedError
from taxonomy.whole_file import reason_of, whole_file
from trainer.checkpoints.checkpoint import CheckpointContent

LATEST = "epoch_latest.pt"
"""The file of `--save-most-recent`."""


def epoch_file(epoch: int) -> str:
    """The name of the file after so many whole epochs."""
    return f"epoch_{epoch}.pt"


def save_published(path: Path, content: CheckpointContent, epoch: int, run_name: str) -> None:
    """Write the dict {epoch, name, state_dict, optimizer, scaler, model_facts}; atomic.

    `optimizer` is left out where its state is not known, `scaler` is there only with a GradScaler, `model_facts`
    (activation, mean and std, architecture) if the run's state has them: weights alone tell none of these, and
    open_clip passes over the key.

    Source: open_clip_train/main.py, whose own numbered files are not atomic. It resumes at the boundary of an epoch, so
    `epoch` counts whole ones.

    Raises:
        WorkFailedError: it could not be written, as on a full disk. A file already there is as it was.
    """
    published: dict[str, Any] = {
        "epoch": epoch,
        "name": run_name,
        "state_dict": dict(content.model_state),
    }
    if content.optimizer_state:
        published["optimizer"] = dict(content.optimizer_state)
    if content.scaler_state is not None:
        published["scaler"] = dict(content.scaler_state)
    if "model_facts" in content.state:
        published["model_facts"] = content.state["model_facts"]
    try:
        with whole_file(path) as file:
            torch.save(published, file)
    except (OSError, RuntimeError) as error:
        raise WorkFailedError(f"checkpoint {path} could not be written: {reason_of(error)}") from error

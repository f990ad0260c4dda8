"""The model as one .pt file in the published form, which this trainer and open_clip's own loader read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip import list_models

from evaluation.loading.facts import HUB, ModelFacts
from evaluation.loading.weights import read_pickled
from release.folder.write_folder import public_facts
from taxonomy.errors import BadInputError
from trainer.checkpoints.checkpoint import CheckpointContent, load, step_of
from trainer.checkpoints.published_checkpoint import save_published


@dataclass(frozen=True)
class Progress:
    """How far the training of a model was: what is needed to go on, beside its weights.

    Attributes:
        epoch: whole epochs done.
        optimizer_state: the optimizer's `state_dict()`; empty where it is not known.
        scaler_state: the GradScaler's; None without one.
    """

    epoch: int = 0
    optimizer_state: Mapping[str, Any] = field(default_factory=dict)
    scaler_state: Mapping[str, Any] | None = None


def read_progress(checkpoint: Path | None) -> Progress:
    """The progress in a checkpoint folder of ours or a published .pt; that of other weights is not known.

    Raises:
        BadInputError: the file is damaged, or reading it could run code.
    """
    if checkpoint is not None and step_of(checkpoint) is not None:
        content = load(checkpoint, verify=False)
        return Progress(int(content.state.get("epoch", 0)), content.optimizer_state, content.scaler_state)
    if checkpoint is None or not checkpoint.is_file() or checkpoint.suffix != ".pt":
        return Progress()
    stored = read_pickled(checkpoint)
    if not isinstance(stored, Mapping) or "state_dict" not in stored:
        return Progress()
    parts = {name: plain(stored.get(name)) for name in ("epoch", "optimizer", "scaler")}
    epoch, optimizer, scaler = parts["epoch"], parts["optimizer"], parts["scaler"]
    return Progress(
        epoch if isinstance(epoch, int) else 0,
        optimizer if isinstance(optimizer, Mapping) else {},
        scaler if isinstance(scaler, Mapping) else None,
    )


def write_published_file(
    path: Path, model: torch.nn.Module, facts: ModelFacts, progress: Progress, run_name: str
) -> None:
    """Write {epoch, name, state_dict, model_facts}, and optimizer and scaler where they are known.

    Raises:
        BadInputError: the model has a tokenizer of its own, which no such file can hold and no name leads to.
        WorkFailedError: it could not be written, as on a full disk.
    """
    public = public_facts(facts)
    tokenizer = facts.model_config["text_cfg"].get("hf_tokenizer_name")
    if tokenizer and not public.name.startswith(HUB) and public.name.replace("/", "-") not in list_models():
        raise BadInputError(
            f"--format pt: a .pt file cannot hold the tokenizer {tokenizer} of {public.name}; the folder alone can"
        )
    content = CheckpointContent(
        model_state={name: tensor.detach().cpu() for name, tensor in model.state_dict().items()},
        optimizer_state=progress.optimizer_state,
        scaler_state=progress.scaler_state,
        state={"model_facts": public.to_dict()},
    )
    save_published(path, content, progress.epoch, run_name)


def plain(value: Any) -> Any:
    """The same with numbers of Python for NumPy's, which loaders with `weights_only` refuse."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(each) for each in value)
    return value

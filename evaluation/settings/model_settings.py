"""The flags that say which model a command uses, the same for all of them. No torch until the model is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluation.loading.activation import ACTIVATIONS
from evaluation.settings.baselines import ModelChoice, choose
from evaluation.settings.config_checks import check_model
from evaluation.settings.option import Settings, option

if TYPE_CHECKING:
    import torch

    from evaluation.encoding.encoder import OpenClipEncoder
    from evaluation.model import ModelRequest

PRECISIONS = ("fp32", "amp_bf16", "amp", "amp_bfloat16", "bf16", "fp16")

_MODEL = "Model"


@dataclass(frozen=True)
class ModelSettings(Settings):
    """Which model, checked when it is made; configs of commands inherit it and add their own fields."""

    model: str | None = option(
        "An open_clip name, local-dir:FOLDER, hf-hub:ORG/NAME or a checkpoint folder.",
        *(None, str, _MODEL),
        metavar="NAME",
    )
    pretrained: str | None = option(
        "A tag of open_clip, weights file, folder or hub model.", None, str, _MODEL, metavar="TAG"
    )
    resume: str | None = option(
        "A checkpoint: step_* or run folder of this trainer, .pt, or bare weights with --activation.",
        *(None, str, _MODEL),
        metavar="CKPT",
    )
    activation: str | None = option("Of bare weights, which do not tell it.", None, str, _MODEL, choices=ACTIVATIONS)
    force: bool = option("--activation may contradict what the weights say.", False, bool, _MODEL)
    precision: str = option(
        "fp32, or autocast to bf16 (amp_bf16, also amp_bfloat16, bf16) or fp16 (amp, also fp16; CUDA alone).",
        *("fp32", str, _MODEL),
        choices=PRECISIONS,
        metavar="NAME",
    )
    device: str | None = option(
        "cpu, cuda, cuda:N or mps (default: cuda where there is one, else cpu).", None, str, _MODEL
    )

    def __post_init__(self) -> None:
        """Check every value of the config, those of inheriting ones too.

        Raises:
            BadInputError: a value is not allowed; names its flag.
        """
        super().__post_init__()
        self.choice  # noqa: B018  # refused here if it names no model, or two
        check_model(self.activation, self.force, self.device)

    @property
    def choice(self) -> ModelChoice:
        """The model as named, with what people call it (`label`)."""
        return choose(self.model, self.pretrained, self.resume)[0]

    @property
    def request(self) -> ModelRequest:
        """What `evaluation.model` is asked for."""
        from evaluation.model import ModelRequest

        return ModelRequest(self.choice.model, self.choice.pretrained, activation=self.activation, force=self.force)

    def find_device(self) -> torch.device:
        """The device asked for.

        Raises:
            BadInputError: it is not there.
        """
        from evaluation.distributed import find_device

        return find_device(self.device)

    def open_encoder(self) -> OpenClipEncoder:
        """The model, built and loaded, in evaluation mode.

        Raises:
            BadInputError: the model, device or precision cannot be had.
            WorkFailedError: a download failed.
        """
        from evaluation.open_encoder import open_encoder, set_precision

        device = self.find_device()
        set_precision(self.precision, device)
        return open_encoder(self.request, device, self.precision)

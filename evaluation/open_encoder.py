"""A model as an encoder, ready to use: built, in evaluation mode, at the precision asked for."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch

from evaluation.encoding.encoder import OpenClipEncoder
from evaluation.loading.tokenizer import tokenizer_folder
from evaluation.model import ModelRequest, build_model, get_tokenizer
from taxonomy.errors import BadInputError

_AUTOCAST = {
    **dict.fromkeys(("amp_bf16", "amp_bfloat16", "bf16"), torch.bfloat16),
    **dict.fromkeys(("amp", "fp16"), torch.float16),
}
"""Precision -> what autocast computes in; fp32 is without."""


def open_encoder(request: ModelRequest, device: torch.device, precision: str = "fp32") -> OpenClipEncoder:
    """The encoder of a model; its facts are `encoder.facts`.

    Args:
        request: which model.
        device: where it goes.
        precision: one of PRECISIONS of evaluation/settings/model_settings.py; call `set_precision` before.

    Raises:
        BadInputError: the model cannot be built from what is asked for.
        WorkFailedError: a download failed.
    """
    model, facts = build_model(request, device)
    model.eval()
    tokenizer = get_tokenizer(facts, tokenizer_folder(request.name, request.pretrained))
    return OpenClipEncoder(model, facts, tokenizer, device, autocast_of(precision, device))


def set_precision(precision: str, device: torch.device) -> None:
    """Check that the device has the precision; for fp32, have convolutions of this process compute in no less.

    Raises:
        BadInputError: it has not.
    """
    if _AUTOCAST.get(precision) is torch.float16 and device.type != "cuda":
        raise BadInputError(f"--precision {precision} needs CUDA, this is {device.type}: use amp_bf16 or fp32")
    if precision not in _AUTOCAST:
        torch.backends.cudnn.allow_tf32 = False  # on by default for convolutions: three digits


def autocast_of(precision: str, device: torch.device) -> Callable[[], AbstractContextManager] | None:
    """What makes the context of a forward pass at a precision; None for fp32."""
    dtype = _AUTOCAST.get(precision)
    return None if dtype is None else functools.partial(torch.autocast, device.type, dtype=dtype)

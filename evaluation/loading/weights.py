"""Weights from a file into a model: read without running code, loaded only where every tensor fits.

A pickled file can run any code when it is read the usual way. Here only tensors, plain containers and NumPy scalars
(published BioTrove checkpoints hold some beside the weights) are let in.
"""

import logging
import math
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from evaluation.errors import OtherArchitectureError
from taxonomy.errors import BadInputError

_LOG = logging.getLogger(__name__)

StateDict = dict[str, torch.Tensor]

_WRAPPERS = ("module.", "_orig_mod.")
"""Prefixes that DistributedDataParallel and torch.compile put before every name."""

_NO_WEIGHTS = ("input_resolution", "context_length", "vocab_size", "attn_mask", "text.attn_mask")
"""Names in old files that hold sizes or the causal mask."""

_POSITIONS = ("visual.positional_embedding", "positional_embedding", "text.positional_embedding")
"""May differ in length: they are resized to another picture size or text length."""


def read_weights(path: Path) -> StateDict:
    """Name -> tensor (on the CPU) from .safetensors, or from .pt, .bin, .pth as open_clip and BioTrove write them.

    Raises:
        BadInputError: no such file, damaged, holds other things than tensors, or would run code.
    """
    if not path.is_file():
        raise BadInputError(f"no weights file {path}")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else read_pickled(path)
    if isinstance(content, Mapping) and "state_dict" in content:
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise BadInputError(f"{path} holds no weights: a dictionary of tensors, alone or as 'state_dict', is needed")
    odd = [repr(name)[:40] for name in content if not (isinstance(name, str) and name.isprintable())]
    if odd:
        raise BadInputError(f"{path} holds no weights: their names are texts, not {_few(odd)}")
    state = _without_wrappers({name: value for name, value in content.items() if name not in _NO_WEIGHTS})
    others = [name for name, value in state.items() if not _is_plain(value)]
    if others:
        raise BadInputError(f"{path} holds other things than plain tensors: {_few(others)}")
    return state


def _is_plain(value: Any) -> bool:
    """Dense, with its values at hand."""
    is_dense = isinstance(value, torch.Tensor) and value.layout == torch.strided
    return is_dense and not value.is_quantized and value.device.type == "cpu"


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise BadInputError(f"{path} is damaged: {error}") from error


def read_pickled(path: Path) -> Any:
    """What a .pt, .bin or .pth holds, tensors on the CPU: a published checkpoint's optimizer and epoch as well.

    Raises:
        BadInputError: damaged, no such form, or reading it could run code.
    """
    in_zip = zipfile.is_zipfile(path)
    if in_zip and any(name.endswith("/constants.pkl") for name in _names_in_zip(path)):
        raise BadInputError(f"{path} is a TorchScript archive (a program): save its state_dict first")
    try:
        with torch.serialization.safe_globals(_numpy_scalars()):
            # mapped: of a published checkpoint two thirds are optimizer state that nobody reads
            return torch.load(path, map_location="cpu", weights_only=True, mmap=in_zip)
    except UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"the file asks for {named[1]}" if named else "its content is not a plain pickle of tensors"
        raise BadInputError(f"{path} is refused, since reading it could run code: {what}") from error
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError, IndexError, TypeError) as error:
        raise BadInputError(f"{path} is damaged or no checkpoint: {first_line(error)}") from error


def _names_in_zip(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise BadInputError(f"{path} is damaged: {error}") from error


def _numpy_scalars() -> list[Any]:
    """What a pickled NumPy float, as in the published files, is rebuilt with; its module has had two names."""
    import numpy as np
    from numpy._core.multiarray import scalar  # pyright: ignore[reportAttributeAccessIssue]  # NumPy's own stub lacks it

    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    numbers = (np.float64, np.float32, np.int64)
    dtypes = [type(np.dtype(number)) for number in numbers]
    return [np.dtype, *dtypes, *((scalar, name) for name in names)]


def _without_wrappers(state: StateDict) -> StateDict:
    """Names without the prefixes that wrap every one of them."""
    wrapper = next((one for one in _WRAPPERS if all(str(name).startswith(one) for name in state)), None)
    if wrapper is None:
        return state
    return _without_wrappers({name.removeprefix(wrapper): value for name, value in state.items()})


def load_strict(model: torch.nn.Module, path: Path) -> None:
    """Put the weights of a file into a model; positional embeddings of another length are resized, saying so.

    Raises:
        OtherArchitectureError: names or shapes are not the model's. Nothing of the model was changed.
        BadInputError: as read_weights, or values are of another kind, NaN or infinite. Likewise.
    """
    try:
        state = _converted(model, read_weights(path))
    except (LookupError, AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise OtherArchitectureError(f"{path} holds another architecture: {first_line(error)}") from error
    _check_fits(model, state, path)
    _check_values(model, state, path)
    _resize_positions(model, state, path)
    model.load_state_dict(state, strict=True)


def _converted(model: torch.nn.Module, state: StateDict) -> StateDict:
    """The weights under this model's names: other publishers' names, and two forms that open_clip has had."""
    from open_clip.convert import convert_state_dict
    from open_clip.model import convert_to_custom_text_state_dict

    state = convert_state_dict(model, state)  # pyright: ignore[reportArgumentType]  # annotated too narrowly
    if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
        state = convert_to_custom_text_state_dict(state)
    own = dict(model.named_parameters())
    for name in ("logit_scale", "logit_bias"):
        if name in own and name in state and state[name].numel() == 1:
            state[name] = state[name].reshape(own[name].shape)
    if "logit_bias" in own and "logit_bias" not in state:
        state["logit_bias"] = torch.zeros_like(own["logit_bias"])  # as open_clip: softmax weights, sigmoid training
    positions = "text.transformer.embeddings.position_ids"  # written by transformers before 4.31
    if positions not in model.state_dict():
        state.pop(positions, None)
    return state


def _check_fits(model: torch.nn.Module, state: StateDict, path: Path) -> None:
    own = model.state_dict()
    missing = [name for name in own if name not in state]
    unknown = [name for name in state if name not in own]
    misfits = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in state and not _fits(name, state[name], own[name])
    ]
    complaints = {"missing": missing, "unknown": unknown, "of another shape": misfits}
    text = "; ".join(f"{len(names)} {what}: {_few(names)}" for what, names in complaints.items() if names)
    if text:
        raise OtherArchitectureError(f"{path} holds another architecture than the model asked for ({text})")


def _check_values(model: torch.nn.Module, state: StateDict, path: Path) -> None:
    """Refuse numbers that are no weights: load_state_dict casts and copies anything."""
    own = model.state_dict()
    others = [
        f"{name} {str(state[name].dtype).removeprefix('torch.')}" for name in own if not _is_kin(state[name], own[name])
    ]
    if others:
        raise BadInputError(f"{path} holds {len(others)} tensors of another kind than the model's: {_few(others)}")
    # in the model's own dtype: float64 holds what float32 cannot
    spoilt = [name for name in own if not _is_finite(state[name].to(own[name].dtype))]
    if spoilt:
        raise BadInputError(
            f"{path} holds NaN or infinite weights, as a training that diverged leaves them, in {len(spoilt)} of "
            f"{len(own)} tensors: {_few(spoilt)}; take an earlier checkpoint"
        )


def _is_finite(tensor: torch.Tensor) -> bool:
    """A sum is finite only where all of it is, and takes a fraction of the time; it may overflow, too."""
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())


def _is_kin(given: torch.Tensor, own: torch.Tensor) -> bool:
    """Both floating, or both whole numbers."""
    if own.is_floating_point():
        return given.is_floating_point()
    return (
        not given.is_floating_point()
        and not given.is_complex()
        and (given.dtype == torch.bool) == (own.dtype == torch.bool)
    )


def _fits(name: str, given: torch.Tensor, own: torch.Tensor) -> bool:
    if name in _POSITIONS:
        is_kin = given.ndim == own.ndim and given.shape[1:] == own.shape[1:] and len(given) > 0
        is_grid = len(given) > 1 and math.isqrt(len(given) - 1) ** 2 == len(given) - 1  # and one for the class token
        return is_kin and (is_grid or given.shape == own.shape or not name.startswith("visual."))
    return given.shape == own.shape


def _resize_positions(model: torch.nn.Module, state: StateDict, path: Path) -> None:
    from open_clip.model import resize_pos_embed, resize_text_pos_embed

    before = {name: len(state[name]) for name in _POSITIONS if name in state}
    resize_pos_embed(state, model)
    resize_text_pos_embed(state, model)
    for name, length in before.items():
        if len(state[name]) != length:
            _LOG.warning("%s of %s resized from %d to %d positions", name, path, length, len(state[name]))


def _few(names: Iterable[str], shown: int = 4) -> str:
    names = list(names)
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")


def first_line(error: Exception) -> str:
    """What an error of another package says, short enough for a line of ours."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]

"""The image tower as ONNX, its preprocessing in JSON beside it, checked against torch before anyone gets it.

Shapes: B pictures, C channels, H x W pixels, D embedding.
"""

import copy
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluation.loading.facts import ModelFacts
from taxonomy.errors import WorkFailedError

MODEL_FILE, ABOUT_FILE = "image_encoder.onnx", "image_encoder.json"

TOLERANCE = 1e-4
"""Largest difference to torch, per number of a unit row."""

_LARGEST_MESSAGE = 1_900_000_000
"""Bytes of weights that fit into the one file. Source: protobuf's limit of 2 GiB per message."""

_BATCHES = (1, 3)
_LOG = logging.getLogger(__name__)


class _UnitImageEncoder(torch.nn.Module):
    """Normalised pixels [B, C, H, W] -> unit rows [B, D]."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.visual = model.visual

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(self.visual(image), dim=-1)


def write_image_encoder(model: Any, facts: ModelFacts, model_hash: str, logit_scale: float, folder: Path) -> float:
    """Write MODEL_FILE (fp32, any batch size) and ABOUT_FILE; returns the largest difference to torch.

    Args:
        model: an open_clip model, in evaluation mode, on any device.
        facts: what its pictures look like.
        model_hash: of its weights.
        logit_scale: what cosines are multiplied with before a softmax.
        folder: is there.

    Raises:
        WorkFailedError: the tower cannot be exported, or computes something else than in torch.
    """
    _LOG.info("writing %s: takes a while", MODEL_FILE)
    encoder = copy.deepcopy(_UnitImageEncoder(model)).cpu().eval()
    path = folder / MODEL_FILE
    _export(encoder, facts, path)
    _strip(path)
    difference = largest_difference(encoder, facts, path)
    if not difference <= TOLERANCE:
        raise WorkFailedError(
            f"{MODEL_FILE} computes something else than the model: unit embeddings differ by up to {difference:.1e} "
            f"({TOLERANCE:.0e} is allowed); export without onnx"
        )
    about = json.dumps(describe(facts, model_hash, logit_scale), indent=2)
    (folder / ABOUT_FILE).write_text(about + "\n", encoding="utf-8")
    return difference


def _export(encoder: torch.nn.Module, facts: ModelFacts, path: Path) -> None:
    size = facts.image_size
    weights = sum(tensor.nbytes for tensor in encoder.state_dict().values())
    try:
        with torch.no_grad(), _quiet():
            torch.onnx.export(
                encoder,
                (torch.zeros(2, 3, size, size),),
                path,
                input_names=["image"],
                output_names=["embedding"],
                dynamo=True,
                dynamic_shapes={"image": {0: torch.export.Dim("batch", min=1, max=65536)}},
                external_data=weights > _LARGEST_MESSAGE,
                verbose=False,
            )
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise WorkFailedError(f"the image tower of {facts.name} cannot be exported to ONNX: {reason}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's own remarks, which are about its code."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _strip(path: Path) -> None:
    """Remove what the exporter notes beside every node: lines of code and paths of this machine."""
    import onnx

    proto = onnx.load(path, load_external_data=False)
    graph = proto.graph
    parts = [*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
    for part in (proto, graph, *parts, *proto.functions, *(node for one in proto.functions for node in one.node)):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    path.write_bytes(proto.SerializeToString(deterministic=True))


def largest_difference(encoder: torch.nn.Module, facts: ModelFacts, path: Path) -> float:
    """Largest difference between torch's numbers and ONNX Runtime's, over noise and flat pictures in several batches.

    Raises:
        WorkFailedError: ONNX Runtime cannot run the file.
    """
    found = 0.0
    batches = [_pictures(facts, batch) for batch in _BATCHES]
    for image_BCHW, onnx_BD in zip(batches, _run(path, batches), strict=True):
        with torch.no_grad():
            own_BD = encoder(torch.from_numpy(image_BCHW)).numpy()
        # NaN, which every comparison passes over, counts as a difference
        found = max(found, float(np.nan_to_num(np.abs(own_BD - onnx_BD), nan=np.inf).max()))
    return found


def _run(path: Path, batches: list[np.ndarray]) -> list[np.ndarray]:
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return [np.asarray(session.run(["embedding"], {"image": image_BCHW})[0]) for image_BCHW in batches]
    except Exception as error:  # ONNX Runtime's own have no other base
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise WorkFailedError(f"{path.name} does not run: {reason}") from error


def _pictures(facts: ModelFacts, batch: int) -> np.ndarray:
    """Normalised pixels: noise, and a black one last."""
    generator = np.random.default_rng(batch)
    pixels_BCHW = generator.random((batch, 3, facts.image_size, facts.image_size))
    pixels_BCHW[1:][-1:] = 0
    mean, std = (np.array(values)[:, None, None] for values in (facts.image_mean, facts.image_std))
    return ((pixels_BCHW - mean) / std).astype(np.float32)


def describe(facts: ModelFacts, model_hash: str, logit_scale: float) -> dict[str, Any]:
    """The content of ABOUT_FILE: all that a program without torch needs to know to use the ONNX file."""
    size = facts.image_size
    return {
        "schema_version": 1,
        "file": MODEL_FILE,
        "model_hash": model_hash,
        "activation": facts.activation,
        "input": {"name": "image", "dtype": "float32", "shape": ["batch", 3, size, size], "layout": "NCHW"},
        "output": {"name": "embedding", "dtype": "float32", "shape": ["batch", facts.embed_dim], "l2_norm": 1.0},
        "logit_scale": logit_scale,
        "preprocessing": {
            "image_size": size,
            "resize_mode": facts.resize_mode,
            "interpolation": facts.interpolation,
            "antialias": True,
            "colour_order": "RGB",
            "value_range": [0.0, 1.0],
            "mean": list(facts.image_mean),
            "std": list(facts.image_std),
            "steps": _steps(facts),
        },
        "tolerance": TOLERANCE,
    }


def _steps(facts: ModelFacts) -> list[str]:
    size, filter_ = facts.image_size, f"{facts.interpolation} with antialiasing, as Pillow does it"
    fit = {
        "shortest": [
            f"resize: the short side becomes {size} px, the long side {size} * long / short rounded down; {filter_}",
            f"cut out the middle {size} x {size} px; an odd rest is halved to the even side",
        ],
        "squash": [f"resize both sides to {size} px; {filter_}"],
        "longest": [
            f"resize: the long side becomes {size} px, the short one in proportion, rounded; {filter_}",
            f"put it in the middle of a black picture of {size} x {size} px",
        ],
    }
    return [
        "decode; an orientation in EXIF is not applied",
        *fit[facts.resize_mode],
        "convert to RGB",
        "divide by 255, so that values are from 0 to 1",
        "subtract mean, divide by std, per channel in the order red, green, blue",
        "arrange as [batch, channel, row, column], float32",
    ]

"""The gradients of one optimizer step: k micro-batches forward and backward, averaged over ranks.

With k = 1 the graph is kept from pictures to loss. With k > 1 the loss still sees all pairs at once, which is what
makes it the loss of the large batch, but the graph of only one micro-batch is in memory at a time (GradCache):

1. every micro-batch is encoded without gradient, the state of the random generators before each kept;
2. one loss over all features gives the gradient of every feature, and of the scale and bias themselves;
3. every micro-batch is encoded again, under its random state, and its features' gradients go on to the parameters.

Every parameter's gradient is that of k = 1 at k times the batch. Texts are encoded once for each distinct one among all
k micro-batches. Layers that keep running statistics (the batch norms of a ResNet) see each micro-batch twice.

Source: Gao et al. 2021, Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup.

Shapes: B pairs of a micro-batch, N = k B pairs of this rank, V distinct texts among them, L tokens, D embedding.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch

from trainer.distributed import Ranks, average_gradients, mean_over_ranks
from trainer.steps.distinct_texts import DistinctTexts, distinct, send, stack_tokens
from trainer.steps.loss import check_loss, infonce, multi_positive, scale_of, siglip

Encoder = Callable[[torch.Tensor], torch.Tensor]


class MicroBatch(Protocol):
    """What a step needs of a batch of the data; on the CPU, where texts are compared."""

    image_BHWC: torch.Tensor
    token_BL: torch.Tensor
    taxon_B: torch.Tensor


@dataclass(frozen=True)
class StepInputs:
    """The k micro-batches of one rank and step, on the device that trains.

    Attributes:
        images: k tensors image_BHWC, each of the same B.
        texts: the distinct texts of all N pairs.
        taxon_N: int64, the taxon of every pair.
    """

    images: Sequence[torch.Tensor]
    texts: DistinctTexts
    taxon_N: torch.Tensor


@dataclass(frozen=True)
class ModelParts:
    """A model as a step sees it.

    Attributes:
        encode_image: image_BHWC to unit rows [B, D].
        encode_text: token_VL to unit rows [V, D].
        logit_scale: 0-D parameter, the logarithm of the scale of the logits.
        logit_bias: 0-D parameter of siglip, or None.
        parameters: all that get gradients, in the model's order: the same on all ranks.
    """

    encode_image: Encoder
    encode_text: Encoder
    logit_scale: torch.Tensor
    logit_bias: torch.Tensor | None
    parameters: Sequence[torch.nn.Parameter]


@dataclass(frozen=True)
class StepSettings:
    """How a step computes.

    Attributes:
        loss: one of `trainer.steps.loss.LOSSES`.
        local_loss: of infonce: this rank's rows against all, in place of all against all.
        gather_with_grad: of infonce: gradients flow to the features of other ranks.
        autocast: makes the context in which encoders run, anew for each pass. The caller must not be in it: its cache
            of cast weights would live on, and torch has taken casts made without gradient from it.
        scaler: of fp16: what the loss is scaled with; gradients stay scaled.
    """

    loss: str
    local_loss: bool = False
    gather_with_grad: bool = False
    autocast: Callable[[], AbstractContextManager] = nullcontext
    scaler: torch.amp.GradScaler | None = None


def step_inputs(batches: Sequence[MicroBatch], device: torch.device) -> StepInputs:
    """The inputs of a step from its k micro-batches: texts compared on the CPU, then all of it sent to the device.

    Pictures should be pinned, or on the device already; tokens on the CPU.
    """
    texts = distinct(stack_tokens([batch.token_BL for batch in batches]))
    taxon_N = torch.cat([batch.taxon_B for batch in batches])
    images = [batch.image_BHWC.to(device, non_blocking=True) for batch in batches]
    return StepInputs(images, texts.to(device), send(taxon_N, device))


def train_step(parts: ModelParts, inputs: StepInputs, settings: StepSettings, ranks: Ranks) -> torch.Tensor:
    """The loss, 0-D on the device and the mean over ranks; the gradients, likewise, are left in `.grad`.

    Gradients from before are dropped. The host does not wait for the device.

    Raises:
        BadInputError: as `trainer.steps.loss.check_loss`.
    """
    check_loss(settings.loss, settings.local_loss, settings.gather_with_grad, ranks, parts.logit_bias)
    assert not torch.is_autocast_enabled(inputs.taxon_N.device.type), "autocast is the step's own: see StepSettings"
    for parameter in parts.parameters:
        parameter.grad = None
    backward = _backward_at_once if len(inputs.images) == 1 else _backward_in_two_passes
    loss = backward(parts, inputs, settings, ranks)
    average_gradients(parts.parameters, ranks)
    return mean_over_ranks(loss, ranks)


def _backward_at_once(parts: ModelParts, inputs: StepInputs, settings: StepSettings, ranks: Ranks) -> torch.Tensor:
    with settings.autocast():
        image_ND = parts.encode_image(inputs.images[0])
        text_VD = parts.encode_text(inputs.texts.token_VL)
    loss = loss_of(parts, inputs, image_ND, text_VD, settings, ranks)
    _scaled(loss, settings).backward()
    return loss


def _backward_in_two_passes(
    parts: ModelParts, inputs: StepInputs, settings: StepSettings, ranks: Ranks
) -> torch.Tensor:
    images = _Chunks(parts.encode_image, inputs.images, settings.autocast)
    texts = _Chunks(parts.encode_text, inputs.texts.token_VL.split(len(inputs.images[0])), settings.autocast)
    image_ND, text_VD = images.encode(), texts.encode()
    after = _random_state(image_ND.device)
    loss = loss_of(parts, inputs, image_ND, text_VD, settings, ranks)
    _scaled(loss, settings).backward()
    images.backward(image_ND)
    texts.backward(text_VD)
    _restore_random_state(after, image_ND.device)  # a locked tower is not encoded to its end again
    return loss


class _Chunks:
    """A tower and its micro-batches: encoded without gradient, then again with."""

    def __init__(self, encoder: Encoder, chunks: Sequence[torch.Tensor], autocast: Callable) -> None:
        self._encoder = encoder
        self._chunks = chunks
        self._autocast = autocast
        self._random_states: list[tuple[torch.Tensor, ...]] = []

    def encode(self) -> torch.Tensor:
        """The features of all chunks, as a leaf that takes a gradient."""
        features = []
        for chunk in self._chunks:
            self._random_states.append(_random_state(chunk.device))
            with torch.no_grad(), self._autocast():
                features.append(self._encoder(chunk))
        return torch.cat(features).requires_grad_()

    def backward(self, feature_ND: torch.Tensor) -> None:
        """Hand the gradient of what `encode` returned on to the parameters."""
        for chunk, state, gradient in zip(self._chunks, self._random_states, self._gradients(feature_ND), strict=True):
            _restore_random_state(state, chunk.device)
            with self._autocast():
                feature_BD = self._encoder(chunk)
            if not feature_BD.requires_grad:  # a locked tower
                return
            feature_BD.backward(gradient)

    def _gradients(self, feature_ND: torch.Tensor) -> Iterator[torch.Tensor]:
        assert feature_ND.grad is not None
        return iter(feature_ND.grad.split([len(chunk) for chunk in self._chunks]))


def loss_of(
    parts: ModelParts,
    inputs: StepInputs,
    image_ND: torch.Tensor,
    text_VD: torch.Tensor,
    settings: StepSettings,
    ranks: Ranks,
) -> torch.Tensor:
    """This rank's loss of encoded pairs; the mean over ranks is the loss."""
    scale = scale_of(parts.logit_scale)
    if settings.loss == "multi_positive":
        return multi_positive(image_ND, inputs.texts, text_VD, inputs.taxon_N, scale, ranks)
    text_ND = text_VD[inputs.texts.inverse_N]
    if settings.loss == "siglip":
        assert parts.logit_bias is not None
        return siglip(image_ND, text_ND, scale, parts.logit_bias, ranks)
    return infonce(image_ND, text_ND, scale, ranks, settings.local_loss, settings.gather_with_grad)


def _scaled(loss: torch.Tensor, settings: StepSettings) -> torch.Tensor:
    return loss if settings.scaler is None else settings.scaler.scale(loss)


def _random_state(device: torch.device) -> tuple[torch.Tensor, ...]:
    """The states of the generators that layers draw from; those of CUDA lie on the host, so nothing waits."""
    if device.type == "cuda":
        return torch.get_rng_state(), torch.cuda.get_rng_state(device)
    return (torch.get_rng_state(),)


def _restore_random_state(states: tuple[torch.Tensor, ...], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)

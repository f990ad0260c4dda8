"""Batches on the device before they are needed: the copy of the next runs while the GPU works on this one."""

from collections.abc import Iterator, Sequence
from itertools import islice

import torch

from trainer.data.batch import Batch
from trainer.steps.step import StepInputs, step_inputs


def steps_ahead(
    batches: Iterator[Batch], num_micro_batches: int, device: torch.device
) -> Iterator[tuple[Sequence[Batch], StepInputs]]:
    """The micro-batches of each step with its inputs on the device; on CUDA those of the next step are under way.

    On CUDA copies go on a stream of their own, from page-locked memory, so that neither host nor GPU waits for them.
    """
    if device.type != "cuda":
        while step := list(islice(batches, num_micro_batches)):
            yield step, step_inputs(step, device)
        return
    stream = torch.cuda.Stream(device)
    coming = _send(batches, num_micro_batches, device, stream)
    while True:
        step, inputs, copied = coming
        torch.cuda.current_stream(device).wait_event(copied)
        _belongs_to(inputs, torch.cuda.current_stream(device))
        yield step, inputs
        coming = _send(batches, num_micro_batches, device, stream)


def _send(
    batches: Iterator[Batch], num_micro_batches: int, device: torch.device, stream: torch.cuda.Stream
) -> tuple[list[Batch], StepInputs, torch.Event]:
    step = list(islice(batches, num_micro_batches))
    with torch.cuda.stream(stream):
        return step, step_inputs(step, device), stream.record_event()


def _belongs_to(inputs: StepInputs, stream: torch.cuda.Stream) -> None:
    """Keep the memory of copies until the stream that uses them is done with it."""
    texts = inputs.texts
    for tensor in (*inputs.images, texts.token_VL, texts.inverse_N, texts.count_V, inputs.taxon_N):
        tensor.record_stream(stream)

"""Processes forked from one that has imported torch, the trainer and the evaluation: they start in a moment.

There is one such server in a test process, whoever asks for it first, so its imports are the same for all.
"""

import multiprocessing
from multiprocessing.context import ForkServerContext

_IMPORTED = ("trainer.run", "trainer.cli", "evaluation.run_config", "torch._dynamo", "safetensors.torch", "pytest")
"""An optimizer imports torch._dynamo."""


def forking() -> ForkServerContext:
    """The context of multiprocessing whose processes come from that server, in the environment it started in."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_IMPORTED))
    return context

"""What is asked about a benchmark, and how it is worked off. No torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation.benchmarks.benchmark import PUBLISHED
from evaluation.protocols import DEFAULT, Protocol

ALL, HEADLINE = "all", "headline"
"""Values of `taxa` beside the levels: every level and roll-up; the level of the published figures."""


@dataclass(frozen=True)
class RunOptions:
    """What is asked about a benchmark, and how it is worked off.

    Attributes:
        taxa: levels, `rollup_<rank>`, "headline" or "all".
        class_list: "published" or "fixed".
        protocol: prompts, logit scale and preprocessing.
        prompt_set: prompts in place of the protocol's.
        out: folder of the results; None writes nothing.
        cache_dir: folder of embeddings; None keeps none.
        precision: what the encoder computes in, for the record.
        batch_size: pictures of a forward pass.
        num_workers: processes that decode; 0 decodes in this one.
        worker_init: called in each of these processes with its number.
        progress: show a bar on a terminal.
        few_shot: also classify from 1 and 5 labelled pictures a class.
        linear_probe: also train a linear classifier on the embeddings.
        details: measure what needs resampling as well.
        seed: of the resampling.
        model: what records say of the model beside its hash: name, activation, activation_source, pretrained.
    """

    taxa: Sequence[str] = (ALL,)
    class_list: str = PUBLISHED
    protocol: Protocol = DEFAULT
    prompt_set: str | None = None
    out: Path | None = None
    cache_dir: Path | None = None
    precision: str = "fp32"
    batch_size: int = 64
    num_workers: int = 0
    worker_init: Callable[[int], None] | None = None
    progress: bool = True
    few_shot: bool = False
    linear_probe: bool = False
    details: bool = True
    seed: int = 0
    model: Mapping[str, Any] = field(default_factory=dict)

    @property
    def protocol_name(self) -> str:
        """Of the result files: a protocol with other prompts is another one, as `paper_sci`."""
        is_own = self.effective_prompt_set == self.protocol.prompt_set
        return self.protocol.name if is_own else f"{self.protocol.name}_{self.effective_prompt_set}"

    @property
    def effective_prompt_set(self) -> str:
        """The prompt set in use."""
        return self.prompt_set or self.protocol.prompt_set

"""The flags of the evaluation, made from the fields of its config. No heavy imports: --help answers at once."""

from collections.abc import Sequence
from typing import Any

from evaluation.settings import command_line
from evaluation.settings.config import EvalConfig
from evaluation.settings.config_checks import check_paths
from evaluation.settings.refused_flags import REFUSED

EVAL = command_line.Command(
    name="taxaflow eval",
    usage="[--model NAME] [--resume CKPT] [--baseline NAME ...] BENCHMARK FLAGS [FLAG ...]",
    description="Zero-shot accuracies of CLIP models on biodiversity benchmarks, with intervals.",
    epilog="""\
examples:
  taxaflow eval --resume demo_output/runs/demo --shards demo_output/shards/demo/manifest.json
  taxaflow eval --baseline bioclip openai --fungi --arbor-rare --images-root photos --protocol paper
  taxaflow eval --resume weights.bin --model ViT-B-16 --activation both --benchmarks all --benchmarks-root csvs
  taxaflow eval --batch-size=32 --workers=8 --imagenet-val VAL --model=resnet50 --resume FILE.pt --report-to wandb
  torchrun --nproc-per-node 8 -m evaluation --baseline openai --birds birds --ds-filter birds

taxaflow report RESULTS makes one page of the results.""",
    config_class=EvalConfig,
    refused=REFUSED,
)


def load(arguments: Sequence[str]) -> EvalConfig:
    """The config of the command line: its flags over --config over the defaults. --help prints and exits.

    Raises:
        BadInputError: a flag, a key of the file or a value is not allowed, or a file named is not there.
    """
    config = command_line.load(EVAL, arguments)
    check_paths(config)
    return config


def parse(arguments: Sequence[str]) -> dict[str, Any]:
    """Field -> value of the flags that were given, and of no others. --help prints and exits.

    Raises:
        BadInputError: a flag is unknown (names the nearest) or refused, or its value is of another kind.
    """
    return command_line.parse(EVAL, arguments)

"""The settings of an embedding run: flags over a TOML file over defaults. No heavy imports: --help answers at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.settings import command_line
from evaluation.settings.model_settings import ModelSettings
from evaluation.settings.option import option
from evaluation.settings.path_checks import check_can_be_made
from inference.inputs.input_settings import InputSettings

PARQUET, NPY = "parquet", "npy"
FORMATS = (PARQUET, NPY)
DTYPES = ("float32", "float16")

_OUTPUT = "Output"


@dataclass(frozen=True)
class EmbedConfig(InputSettings, ModelSettings):
    """Every setting of an embedding run, checked when it is made; a field is its flag's name with _ for -."""

    out: str = option("Folder of the embeddings; a run goes on where another in it ended.", "embeddings", str, _OUTPUT)
    format: str = option(
        "parquet: OUT/embeddings/part-*.parquet with key and embedding; npy: OUT/embeddings.npy and OUT/keys.csv.",
        *(PARQUET, str, _OUTPUT),
        choices=FORMATS,
    )
    dtype: str = option("Of the numbers.", "float32", str, _OUTPUT, choices=DTYPES)
    part_size: int = option(
        "Pictures of a part, rounded up to whole batches: what an interruption costs at most. A folder keeps its own.",
        *(2048, int, _OUTPUT),
        least=1,
    )
    debug: bool = option("Log more, show the trace of an error.", False, bool, _OUTPUT)

    def __post_init__(self) -> None:
        """Check every value, and that what is named is there; nothing is opened or made.

        Raises:
            BadInputError: a value is not allowed, or something is missing; names its flag.
        """
        super().__post_init__()
        check_can_be_made("--out", self.out_dir)

    @property
    def out_dir(self) -> Path:
        """Where everything is written."""
        return Path(self.out)

    @property
    def whole_batches(self) -> int:
        """Pictures of a part of a new folder."""
        return -(-self.part_size // self.batch_size) * self.batch_size


EMBED = command_line.Command(
    name="taxaflow embed",
    usage="INPUT [INPUT ...] --resume CKPT --out DIR [FLAG ...]",
    description="Embeddings of pictures as parquet or npy, for any number of pictures; a stopped run goes on.",
    epilog="""\
examples:
  taxaflow embed photos --resume demo_output/runs/demo --out embeddings
  taxaflow embed photos more.jpg --model hf-hub:imageomics/bioclip --format npy --dtype float16 --out bioclip
  taxaflow embed --shards data/shards/birds/manifest.json --split train --resume runs/birds --out birds
  taxaflow embed --urls photos.csv --images-dir photos --model local-dir:released --out fetched

failures.csv in --out has every picture that could not be used, with the reason. Exit codes: 0 some pictures were
embedded, 1 none was or the work failed (run again to go on), 2 the request cannot be served, 130 Ctrl-C.""",
    config_class=EmbedConfig,
    words=("inputs", "INPUT"),
)


def load(arguments: Sequence[str]) -> EmbedConfig:
    """The config of the command line: its flags over --config over the defaults. --help prints and exits.

    Raises:
        BadInputError: a flag, a key of the file or a value is not allowed, or a file named is not there.
    """
    return command_line.load(EMBED, arguments)

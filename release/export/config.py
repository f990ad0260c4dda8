"""The settings of an export, and the checks that need no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from evaluation.encoding.prompts import PROMPT_SETS
from evaluation.protocols import DEFAULT
from evaluation.settings.baselines import brings_weights
from evaluation.settings.command_line import Command
from evaluation.settings.model_settings import ModelSettings
from evaluation.settings.option import flag_of, option
from evaluation.settings.path_checks import check_can_be_made, check_file, check_folder
from release.folder.whole_folder import check_out
from taxonomy.errors import BadInputError

FOLDER, PUBLISHED, ONNX = "folder", "pt", "onnx"
FORMATS = (FOLDER, PUBLISHED, ONNX)

_OUT, _LABELS, _CARD, _HUB = "Output", "Class list", "Model card", "Hub"
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class ExportConfig(ModelSettings):
    """One export, checked when it is made."""

    out: str | None = option(
        "The folder: new, empty, or made by this command before, which is then replaced.",
        *(None, str, _OUT),
        metavar="DIR",
    )
    format: tuple[str, ...] = option(
        "Beside the folder that open_clip loads (always): pt, the published checkpoint; onnx, the image tower.",
        *((FOLDER,), tuple, _OUT),
        choices=FORMATS,
        metavar="NAME",
    )
    labels: str | None = option(
        "Put embeddings (fp16) of this class list into the folder: text, CSV or parquet, as for taxaflow predict.",
        *(None, str, _LABELS),
        metavar="FILE",
    )
    prompts: str | None = option(
        f"The texts around a class name [default: {DEFAULT.prompt_set}, as taxaflow eval]: {', '.join(PROMPT_SETS)}.",
        *(None, str, _LABELS),
        choices=PROMPT_SETS,
        metavar="SET",
    )
    cache_dir: str | None = option(
        "Where label embeddings are kept, for the next export.", None, str, _LABELS, metavar="DIR"
    )
    results: tuple[str, ...] = option(
        "Folders that taxaflow eval wrote: their figures of this model go into the card.",
        *((), tuple, _CARD),
        metavar="DIR",
    )
    data: str | None = option(
        "manifest.json of the dataset that the model learnt from: its counts and licences go into the card.",
        *(None, str, _CARD),
        metavar="MANIFEST",
    )
    license: str | None = option(
        "Licence of the model, as an identifier of the hub (mit, cc-by-4.0), for the card.",
        *(None, str, _CARD),
        metavar="NAME",
    )
    push: str | None = option(
        "Upload the folder to this model repository of the hub, made where it is not there. The token is that of "
        "HF_TOKEN or of `hf auth login`; HF_ENDPOINT names another hub.",
        *(None, str, _HUB),
        metavar="ORG/NAME",
    )
    private: bool = option("The repository must be private, also if it is made now.", False, bool, _HUB)
    revision: str | None = option(
        "Branch to upload to, made where it is not there (default: the repository's main).",
        *(None, str, _HUB),
        metavar="BRANCH",
    )
    debug: bool = option("Log more, show the trace of an error.", False, bool, _OUT)

    def __post_init__(self) -> None:
        """Check every value, and what they must agree on.

        Raises:
            BadInputError: a value is not allowed; names its flag.
        """
        super().__post_init__()
        if self.out is None:
            raise BadInputError("--out: say which folder to write")
        if not brings_weights(self.choice):
            raise BadInputError(no_weights(self.choice.label))
        if self.precision != "fp32":
            raise BadInputError(f"--precision {self.precision}: an export is made, and checked, in fp32; drop the flag")
        needed = {"prompts": "labels", "cache_dir": "labels", "private": "push", "revision": "push"}
        for name, other in needed.items():
            if getattr(self, name) and not getattr(self, other):
                raise BadInputError(f"{flag_of(name)}: goes with {flag_of(other)} only")
        if self.push is not None and (not _REPO.fullmatch(self.push) or ".." in self.push or "--" in self.push):
            raise BadInputError(f"--push {self.push!r}: give ORG/NAME, of letters, digits, ., _ and -")

    @property
    def out_dir(self) -> Path:
        """The folder to write."""
        assert self.out is not None
        return Path(self.out)

    @property
    def prompt_set(self) -> str:
        """The texts around a class name."""
        return self.prompts or DEFAULT.prompt_set


def no_weights(label: str) -> str:
    """Why a model without weights is refused, and what to do."""
    return f"nothing to export: the weights of {label} are random; add --resume CKPT, or --pretrained for its weights"


def check_paths(config: ExportConfig) -> None:
    """Check that what is named is there, that the folder can be written, and that all packages are.

    Raises:
        BadInputError: not so; names the flag.
    """
    check_out("--out", config.out_dir)
    check_file("--data", config.data)
    for folder in config.results:
        check_folder("--results", folder)
    if config.labels is not None and not Path(config.labels).exists():
        raise BadInputError(f"--labels {config.labels}: no such file")
    check_can_be_made("--cache-dir", Path(config.cache_dir) if config.cache_dir else None)
    missing = [name for name in _ONNX_PACKAGES if ONNX in config.format and find_spec(name) is None]
    if missing:
        raise BadInputError(f"--format onnx needs the package {missing[0]}: pip install 'taxaflow[export]'")


EXPORT = Command(
    name="taxaflow export",
    usage="--resume CKPT --out DIR [FLAG ...]",
    description="A model as others can use it: a folder that open_clip loads, with a model card.",
    epilog="""\
examples:
  taxaflow export --resume demo_output/runs/demo --out released
  taxaflow export --resume runs/bt --out released --format pt onnx --labels species.csv --prompts taxon_com
  taxaflow export --resume runs/bt --out released --results results --data shards/manifest.json --push ORG/NAME

Load it: open_clip.create_model_from_pretrained("local-dir:released"), or "hf-hub:ORG/NAME" after --push.""",
    config_class=ExportConfig,
)

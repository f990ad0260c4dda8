"""The settings of a conversion, and the checks that need no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluation.loading.activation import ACTIVATIONS
from evaluation.loading.facts import HUB, LOCAL
from evaluation.settings.command_line import Command
from evaluation.settings.option import Settings, option
from evaluation.settings.path_checks import check_file
from release.folder.whole_folder import check_out
from taxonomy.errors import BadInputError

_MODEL, _PIXELS, _OUT = "Model", "Pictures", "Output"


@dataclass(frozen=True)
class ConvertConfig(Settings):
    """One conversion, checked when it is made."""

    files: tuple[str, ...] = option("The weights: one .pt, .pth, .bin or .safetensors file.", (), tuple, _MODEL)
    model: str | None = option(
        "What they are the weights of, by open_clip's name; left out, the names that fit their shapes are said.",
        *(None, str, _MODEL),
        metavar="NAME",
    )
    activation: str | None = option(
        "What the model was trained with; bare weights do not tell it.", None, str, _MODEL, choices=ACTIVATIONS
    )
    image_mean: tuple[str, ...] = option(
        "Per channel, of pixels in 0 to 1 (default: OpenAI's, as every published evaluation has it).",
        *((), tuple, _PIXELS),
        metavar="X",
    )
    image_std: tuple[str, ...] = option("Likewise.", (), tuple, _PIXELS, metavar="X")
    interpolation: str | None = option(
        "Of the resize (default: bicubic).", None, str, _PIXELS, choices=("bicubic", "bilinear")
    )
    out: str | None = option(
        "The folder: new, empty, or made by taxaflow before, which is then replaced.", None, str, _OUT, metavar="DIR"
    )
    debug: bool = option("Log more, show the trace of an error.", False, bool, _OUT)

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            BadInputError: a value is not allowed; names its flag.
        """
        super().__post_init__()
        if len(self.files) != 1:
            given = f"{len(self.files)} files: convert one at a time" if self.files else "no file"
            raise BadInputError(f"{given}; taxaflow convert FILE --model NAME --activation NAME --out DIR")
        if self.out is None:
            raise BadInputError("--out: say which folder to write")
        if self.model is not None and self.model.startswith((HUB, LOCAL)):
            raise BadInputError(f"--model {self.model}: brings its own weights; give a name, such as ViT-B-16")
        _ = self.mean, self.std

    @property
    def file(self) -> Path:
        """The weights."""
        return Path(self.files[0])

    @property
    def out_dir(self) -> Path:
        """The folder to write."""
        assert self.out is not None
        return Path(self.out)

    @property
    def mean(self) -> tuple[float, ...] | None:
        """--image-mean as numbers; None where it is not given."""
        return _numbers("--image-mean", self.image_mean, 0)

    @property
    def std(self) -> tuple[float, ...] | None:
        """--image-std as numbers; None where it is not given."""
        return _numbers("--image-std", self.image_std, 1e-6)


def check_paths(config: ConvertConfig) -> None:
    """Check that the file is there and that the folder can be written.

    Raises:
        BadInputError: not so.
    """
    check_file("FILE", config.file)
    check_out("--out", config.out_dir)


def _numbers(flag: str, texts: tuple[str, ...], least: float) -> tuple[float, ...] | None:
    if not texts:
        return None
    try:
        numbers = tuple(float(text) for text in texts)
    except ValueError:
        numbers = ()
    if len(numbers) != 3 or not all(least <= number <= 1 for number in numbers):
        allowed = "in 0 to 1" if not least else "above 0, at most 1"
        raise BadInputError(f"{flag} {' '.join(texts)}: give three numbers {allowed}, one per channel")
    return numbers


CONVERT = Command(
    name="taxaflow convert",
    usage="FILE --model NAME --activation NAME --out DIR [FLAG ...]",
    description="Weights as others published them, into a folder that open_clip loads and that runs no code.",
    epilog="""\
examples:
  taxaflow convert biotroveclip-vit-b-16-from-openai-epoch-40.pt --model ViT-B-16 --activation quickgelu --out bt-o
  taxaflow convert weights.bin --out converted      says which models its shapes fit

The file is read without running code; what is no tensor, number or text in it is refused.""",
    config_class=ConvertConfig,
    words=("files", "FILE"),
)

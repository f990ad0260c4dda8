"""The flags that say which pictures a command looks at, the same for all of them. No heavy imports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.settings.option import Settings, flag_of, option
from evaluation.settings.path_checks import check_can_be_made, check_file
from taxonomy.errors import BadInputError

if TYPE_CHECKING:
    from inference.inputs.picture import Inputs

EXACT, FAST = "exact", "fast"

_PICTURES, _SPEED = "Pictures", "Speed"


@dataclass(frozen=True)
class InputSettings(Settings):
    """Which pictures, and how fast. Configs inherit it before ModelSettings, so that both check their fields."""

    inputs: tuple[str, ...] = option(
        "Pictures, and folders that are searched through.", (), tuple, _PICTURES, metavar="INPUT"
    )
    urls: str | None = option(
        "Instead: a text file with one URL a line, or a CSV with a column of URLs; fetched politely, then kept.",
        *(None, str, _PICTURES),
        metavar="FILE",
    )
    url_column: str = option("The column of --urls, where that is a CSV.", "photo_url", str, _PICTURES, metavar="NAME")
    images_dir: str | None = option("Where the photos of --urls are kept.", None, str, _PICTURES, metavar="DIR")
    user_agent: str | None = option(
        "How to introduce ourselves to the servers of --urls; add a contact address.", None, str, _PICTURES
    )
    shards: str | None = option(
        "Instead: taxaflow shards by their manifest.json.", None, str, _PICTURES, metavar="MANIFEST"
    )
    split: str = option("The split of --shards.", "test", str, _PICTURES, choices=("train", "val", "test"))
    batch_size: int = option("Pictures of one forward pass.", 64, int, _SPEED, least=1)
    workers: int | None = option(
        "Processes that decode; 0: threads of this one (default: 2; where the model is on the CPU, 0).",
        *(None, int, _SPEED),
        least=0,
    )
    resize: str = option(
        "exact: evaluation's pixels; fast: nearly the same ones for a quarter to two fifths of the work.",
        *(EXACT, str, _SPEED),
        choices=(EXACT, FAST),
    )

    def __post_init__(self) -> None:
        """Check every value of the config, and that what is named is there; nothing is opened or made.

        Raises:
            BadInputError: a value is not allowed, or something is missing; names its flag.
        """
        super().__post_init__()
        for flag, value in (("--urls", self.urls), ("--shards", self.shards)):
            check_file(flag, value)
        if self.urls is not None and self.images_dir is None:
            raise BadInputError(f"--urls {self.urls}: add --images-dir DIR, where the photos are kept")
        for name in ("images_dir", "user_agent"):
            if getattr(self, name) is not None and self.urls is None:
                raise BadInputError(f"{flag_of(name)} {getattr(self, name)}: goes with --urls only")
        check_can_be_made("--images-dir", Path(self.images_dir) if self.images_dir else None)

    def open(self) -> Inputs:
        """The pictures named.

        Raises:
            BadInputError: nothing is named, or two kinds; something cannot be used; no picture in it.
        """
        from inference.inputs.open_inputs import open_inputs

        return open_inputs(
            self.inputs,
            urls=self.urls,
            shards=self.shards,
            split=self.split,
            url_column=self.url_column,
            images_dir=Path(self.images_dir) if self.images_dir else None,
            user_agent=self.user_agent,
        )

"""What every command that releases a model writes: a folder that open_clip loads, its card and its record."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from evaluation.loading.facts import ModelFacts
from release.card.card_facts import CardFacts
from release.card.write_card import write_card
from release.folder.whole_folder import whole_folder
from release.folder.write_folder import check_can_be_exported, write_model

CARD_FILE = "README.md"


@contextmanager
def released_folder(model: torch.nn.Module, facts: ModelFacts, card: CardFacts, out: Path) -> Iterator[Path]:
    """The folder of a model to add files to, there whole when the block ends without an error; else as it was before.

    Call `check_out` first. The card is written last and taxaflow.json holds `card` and a checksum of every file.

    Args:
        model: an open_clip model of two towers, on any device.
        facts: how it is built.
        card: what is recorded of it.
        out: replaced if it is there.

    Raises:
        BadInputError: the model's text tower cannot be loaded without network.
        WorkFailedError: it could not be written, as on a full disk.
    """
    check_can_be_exported(facts)
    with whole_folder(out, card.to_dict()) as folder:
        write_model(model, facts, folder)
        yield folder
        (folder / CARD_FILE).write_text(write_card(card), encoding="utf-8")

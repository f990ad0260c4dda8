"""What to cite: this software, and the papers that a model stands on."""

from importlib import metadata
from pathlib import Path
from typing import Any

from release.card.card_facts import Reference, RunRecord
from release.card.recipe import PUBLISHED

BIOTROVE = Reference(
    title="BioTrove: A Large Curated Image Dataset Enabling AI for Biodiversity",
    authors="BioTrove authors",
    venue="NeurIPS 2024 Datasets and Benchmarks",
    year=2024,
    note="arXiv 2406.17720",
)
"""The paper of the three recipes and of the published figures. Source: CITATION.cff."""

_CFF = Path(__file__).resolve().parents[2] / "CITATION.cff"
"""Of a checkout; an installed package does not bring it."""


def software() -> str:
    """`taxaflow 0.1.0`; without a number where it is not installed."""
    try:
        return f"taxaflow {metadata.version('taxaflow')}"
    except metadata.PackageNotFoundError:
        return "taxaflow"


def references(run: RunRecord | None, has_published_figures: bool) -> tuple[Reference, ...]:
    """What to cite for a model.

    Args:
        run: its training.
        has_published_figures: the card shows figures of the paper.
    """
    own = _own()
    is_theirs = run is not None and run.recipe in PUBLISHED and run.is_built_in
    return (*([own] if own else []), *([BIOTROVE] if is_theirs or has_published_figures else []))


def _own() -> Reference | None:
    """The project's CITATION.cff; None where it is not there or cannot be read."""
    try:
        import yaml

        content: Any = yaml.safe_load(_CFF.read_text(encoding="utf-8"))
        authors = ", ".join(str(author.get("name")) for author in content["authors"])
        year = int(str(content["date-released"])[:4])
        return Reference(str(content["title"]), authors, "software", year, f"version {content['version']}")
    except (ImportError, OSError, ValueError, LookupError, TypeError, AttributeError):
        return None

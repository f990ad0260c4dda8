"""What to cite: this software, and the papers that a model stands on."""

from importlib import metadata
from typing import Any

from release.card.card_facts import Reference
from release.card.recipe import PUBLISHED
from release.card.run_facts import RunRecord

BIOTROVE = Reference(
    title="BioTrove: A Large Curated Image Dataset Enabling AI for Biodiversity",
    authors="BioTrove authors",
    venue="NeurIPS 2024 Datasets and Benchmarks",
    year=2024,
    note="arXiv 2406.17720",
)
"""The paper of the three recipes and of the published figures. Source: CITATION.cff."""


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
    """This software, as its installed package describes itself; None where it is not installed."""
    try:
        about: Any = metadata.metadata("taxaflow")
    except metadata.PackageNotFoundError:
        return None
    parts = [f"version {about['Version']}", about.get("License-Expression"), *_addresses(about)]
    title = ": ".join(filter(None, (about["Name"], about.get("Summary")))).rstrip(".")
    return Reference(title, about.get("Author") or "", "software", None, ", ".join(filter(None, parts)))


def _addresses(about: Any) -> list[str]:
    """The project's addresses, as `Homepage, https://...` in its metadata."""
    return [line.split(",", 1)[-1].strip() for line in about.get_all("Project-URL") or ()][:1]

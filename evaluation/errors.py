"""What the caller of a model or benchmark can cause, and what a damaged picture causes."""

from taxonomy.errors import BadInputError as BadInput
from taxonomy.errors import TaxaflowError
from taxonomy.errors import WorkFailedError as WorkFailed

__all__ = ["BadInput", "UnreadableImage", "WorkFailed"]


class UnreadableImage(TaxaflowError):
    """One picture cannot be decoded; it is counted and left out, never replaced."""

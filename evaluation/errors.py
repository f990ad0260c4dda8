"""What a damaged picture causes."""

from taxonomy.errors import TaxaflowError


class UnreadableImageError(TaxaflowError):
    """One picture cannot be decoded; it is counted and left out, never replaced."""

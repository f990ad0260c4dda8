"""What a damaged picture or other weights than asked for cause."""

from taxonomy.errors import BadInputError, TaxaflowError


class UnreadableImageError(TaxaflowError):
    """One picture cannot be decoded; it is counted and left out, never replaced."""


class OtherArchitectureError(BadInputError):
    """Weights whose names or shapes are not those of the model asked for."""

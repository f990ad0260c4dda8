"""The two ways in which training ends early."""

from taxonomy.errors import BadInputError as BadInput
from taxonomy.errors import WorkFailedError as TrainingFailed

__all__ = ["BadInput", "TrainingFailed"]

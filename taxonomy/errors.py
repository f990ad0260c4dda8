"""The exceptions that data or users cause, and the exit codes they end a command with."""


class TaxaflowError(Exception):
    """A failure with a one-line message for the user; `exit_code` is what the command ends with."""

    exit_code = 1


class WorkFailedError(TaxaflowError):
    """The input was fine and the work could not be done: a lost service, a full disk, a failed task."""


class BadInputError(TaxaflowError):
    """The request cannot be served as given; nothing was written."""

    exit_code = 2

"""A pair whose content cannot be used."""

BAD_REASONS = ("undecodable_image", "no_caption", "bad_json", "missing_image", "missing_json")


class BadSample(Exception):
    """A pair whose content cannot be used; it is replaced and counted, never fatal.

    Attributes:
        reason: one of BAD_REASONS.
    """

    def __init__(self, reason: str) -> None:
        assert reason in BAD_REASONS, reason
        super().__init__(reason)
        self.reason = reason

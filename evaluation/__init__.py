"""Checkpoint and benchmark to results and report; never imports the trainer."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluation.evaluate import run
    from evaluation.run_options import RunOptions

__all__ = ["RunOptions", "run"]


def __getattr__(name: str) -> Any:
    """`run` and `RunOptions`, which are imported when they are asked for: torch takes seconds."""
    if name == "run":
        from evaluation.evaluate import run

        return run
    if name == "RunOptions":
        from evaluation.run_options import RunOptions

        return RunOptions
    raise AttributeError(f"module 'evaluation' has no attribute {name!r}")

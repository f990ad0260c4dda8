"""Where a user's caches lie, by the customs of the platform. Nothing is made."""

import os
import sys
from pathlib import Path


def user_cache_folder() -> Path:
    """$XDG_CACHE_HOME/taxaflow, else ~/.cache/taxaflow; ~/Library/Caches/taxaflow on macOS, %LOCALAPPDATA% on Windows.

    Source: XDG Base Directory Specification, which says that a relative path is to be ignored.
    """
    own = os.environ.get("XDG_CACHE_HOME", "")
    if own and Path(own).is_absolute():
        return Path(own) / "taxaflow"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "taxaflow"
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "taxaflow" / "cache"
    return Path.home() / ".cache" / "taxaflow"

"""What Ray must find in the environment before it is imported: quiet and off the network."""

import os
import secrets
from pathlib import Path

_ALWAYS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else a trial without GPUs of its own sees none
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # most looks at a trial find nothing new
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # signals are ours
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # what must outlast a kill is in the trials' folders
}


def set_up(is_alone: bool) -> None:
    """Set the variables that the user has not set.

    Args:
        is_alone: Ray is to run on this machine only: it then listens on the loopback address, and answers to nobody
            without a secret of this process.
    """
    own = dict(_ALWAYS)
    if is_alone:
        own["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # on Linux, too, what makes its address the loopback one
        if "RAY_AUTH_MODE" not in os.environ:
            own |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    elif _has_token():
        own["RAY_AUTH_MODE"] = "token"  # as `ray start` does then
    os.environ |= {name: value for name, value in own.items() if name not in os.environ}


def _has_token() -> bool:
    """Whether there is a cluster's secret where Ray looks for it."""
    is_given = "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ
    return is_given or (Path.home() / ".ray" / "auth_token").is_file()

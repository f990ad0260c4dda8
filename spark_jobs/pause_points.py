"""Named places where a test may stop a download, to kill it there.

Nothing happens unless the environment variable TAXAFLOW_PAUSE_AT is `<name>:<file>`: then the process that reaches
the place called `<name>` writes its pid to `<file>` and waits to be killed.
"""

import os
import time
from pathlib import Path

VARIABLE = "TAXAFLOW_PAUSE_AT"


def reached(name: str) -> None:
    """Pause for ever, if this is the place that the environment asks for; else return at once."""
    wanted, _, marker = os.environ.get(VARIABLE, "").partition(":")
    if wanted != name or not marker:
        return
    Path(marker).write_text(str(os.getpid()))
    while True:
        time.sleep(60)

"""torchrun as `--nproc` starts it, here and in the trainer: silent where a process has said itself why it ended."""

import logging
import sys

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from taxonomy.launch_folder import is_word_left


def main() -> None:
    """Run torchrun with the arguments of this process; its report of half a page only where there is no other.

    It ends with 128 and the signal's number where it is asked to end, else as torchrun does.
    """
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        run.main()
    except SignalException as error:
        sys.exit(128 + error.sigval)
    except ChildFailedError:
        if is_word_left():
            sys.exit(1)
        raise


if __name__ == "__main__":
    main()

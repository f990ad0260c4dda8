"""torchrun as `taxaflow train --nproc` starts it: silent where a trainer process has said itself why it ended."""

import logging
import sys

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from trainer.launch import has_ended


def main() -> None:
    """Run torchrun with the arguments of this process; its report of half a page only where there is no other."""
    logging.getLogger(f"{run.__name__.rpartition('.')[0]}.elastic.multiprocessing.api").setLevel(logging.CRITICAL)
    try:
        run.main()
    except ChildFailedError:
        if has_ended():
            sys.exit(1)
        raise


if __name__ == "__main__":
    main()

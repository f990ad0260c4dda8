"""`python -m trainer` and `torchrun -m trainer`."""

import sys

from trainer.cli import main

main(sys.argv[1:])

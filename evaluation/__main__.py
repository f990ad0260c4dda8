"""`python -m evaluation` and `torchrun -m evaluation`."""

import sys

from evaluation.cli import main

main(sys.argv[1:])

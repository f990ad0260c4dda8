"""The names of `taxonomy/whole_file.py`."""

from taxonomy.whole_file import sync as sync
from taxonomy.whole_file import write_whole as write_whole

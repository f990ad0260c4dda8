"""Spark's Python daemon, with the installed pyspark in place of Spark's own archive of it.

Spark puts `pyspark.zip` first on the path of its Python processes. The archive holds no compiled code, and Python keeps
none for what lies in one: each daemon, and each worker for the modules that only workers need, would compile pyspark
anew, half a CPU second. Here it comes last, for where pyspark is installed nowhere else.

Started by name from this folder, which must not stay on the path: its modules would be found without their package.
"""

import gc
import os.path
import sys

gc.disable()  # nothing that is imported here becomes garbage

sys.path.remove(os.path.dirname(__file__))  # noqa: PTH120  # pathlib would be one more import from this folder
sys.path.sort(key=lambda entry: os.path.basename(entry).startswith(("pyspark.zip", "py4j-")))  # noqa: PTH119

from pyspark.daemon import manager  # noqa: E402  # once the path is right

gc.freeze()  # workers are forks of this process and need not look through it again
gc.enable()

if __name__ == "__main__":
    manager()

"""Runs job files one after the other in the driver that spark-submit started, each as its own program.

The only argument is a JSON list of [path of the job file, its flags...].
"""

import json
import runpy
import sys

for path, *flags in json.loads(sys.argv[1]):
    sys.argv = [path, *flags]
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise

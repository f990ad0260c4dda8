"""pyarrow's functions of columns, which are made on import, where a type checker does not see them."""

from typing import Any

import pyarrow.compute

compute: Any = pyarrow.compute

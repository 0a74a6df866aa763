"""The one array type of the numeric code."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]  # shapes stand in the docstrings and comments

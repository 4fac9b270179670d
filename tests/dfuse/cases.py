"""The cases: functions of a stage, by name in ALL. The server's own first, then the library beside it."""

import server  # noqa: F401
import beside  # noqa: F401
import coherence  # noqa: F401
import alone  # noqa: F401
from kit import ALL  # noqa: F401

"""How long the gate measures by default: windows of a session, and sessions of a check or a baseline."""

WINDOWS = 10
WINDOW_SECONDS = 0.25
MAX_BLOCKS = 8
FRESH_SESSIONS = 4  # against a baseline
# in a baseline: detect a slowdown of 1.5 margins in 19 of 20 checks on a quiet machine (benchmarks/gate_power.py)
STORED_SESSIONS = 12

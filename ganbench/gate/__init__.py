"""Results side by side, and the gate that fails a build. Nothing here imports torch."""

"""How a step is driven: eagerly, or recorded once as a CUDA graph and replayed."""

from .eager import EagerEngine, Engine
from .selection import check_engine, choose_engine

__all__ = ["EagerEngine", "Engine", "check_engine", "choose_engine"]

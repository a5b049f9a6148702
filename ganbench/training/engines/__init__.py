"""How a step is driven: eagerly, or recorded once as a CUDA graph and replayed."""

from .choice import check_engine, choose_engine
from .eager import EagerEngine, Engine

__all__ = ["EagerEngine", "Engine", "check_engine", "choose_engine"]

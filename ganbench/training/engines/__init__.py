"""Engines, which execute a step eagerly, or capture it once as a CUDA graph and replay it."""

from .eager import EagerEngine, Engine
from .selection import check_engine, choose_engine

__all__ = ["EagerEngine", "Engine", "check_engine", "choose_engine"]

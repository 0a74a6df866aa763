"""When spot capacity can be had: a model of pools, what is believed of one, and how the model is learned."""

from .belief import AvailabilityBelief, AvailabilityHistory, believe
from .model import PoolModel, Steps, shipped_model

__all__ = ["AvailabilityBelief", "AvailabilityHistory", "PoolModel", "Steps", "believe", "shipped_model"]

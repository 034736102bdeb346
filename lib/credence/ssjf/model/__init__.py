"""What the study assumes: the cost of an engine's iterations, and the queueing theory the simulator must meet."""

from credence.ssjf.model.profiles import EngineProfile, profile, profiles, read_profiles

__all__ = ["EngineProfile", "profile", "profiles", "read_profiles"]

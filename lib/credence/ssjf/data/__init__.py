"""Read the inputs of the SSJF study into tidy frames."""

from credence.ssjf.data.requests import read_requests, validate_requests

__all__ = ["read_requests", "validate_requests"]

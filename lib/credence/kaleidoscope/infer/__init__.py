"""Inference: exact posterior by conditioning, search for the likeliest explanation, sampling, identifiability."""

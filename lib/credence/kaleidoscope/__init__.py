"""Kaleidoscope: live forensics of distributed storage from store pings (SC 2020)."""

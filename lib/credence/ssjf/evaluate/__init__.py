"""Metrics and audits: pure functions of frames and schedules."""

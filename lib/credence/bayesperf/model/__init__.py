"""The model: what is known about events before a run (relations), and how their counts come about."""

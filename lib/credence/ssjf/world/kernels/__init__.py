"""The simulator's compiled loops: shared state, then one module for each way of serving."""

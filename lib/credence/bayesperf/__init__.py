"""BayesPerf: joint posteriors of multiplexed hardware counters under the relations between their events."""

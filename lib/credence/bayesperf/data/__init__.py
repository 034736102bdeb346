"""Read the inputs of the BayesPerf study: traces, event lists, logs of counters, the paper's figures."""

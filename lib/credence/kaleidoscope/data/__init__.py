"""What is read: topologies, probe logs, measured and third-party sets, the paper's figures."""

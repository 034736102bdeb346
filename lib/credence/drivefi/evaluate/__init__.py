"""What the DriveFI study computes from runs: campaigns, races, mined faults."""

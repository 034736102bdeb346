"""The world that estimators are tested in: exact traces, counted as a multiplexing PMU would count them."""

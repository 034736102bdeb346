"""What a schedule was worth: pure functions of frames and arrays."""

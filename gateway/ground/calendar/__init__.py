"""Time, as people and formats write it: instants, windows, ISO 8601 durations, ages. Nothing here reads a clock."""

"""One trial: its folder, its processes, its result."""

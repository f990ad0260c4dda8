"""Ray: its processes, the trials as it runs them, and what it leaves."""

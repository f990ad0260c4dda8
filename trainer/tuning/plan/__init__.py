"""What is searched and when: the settings of every trial, evaluations, rungs."""

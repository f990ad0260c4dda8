"""Many runs to the best settings."""

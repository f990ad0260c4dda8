"""Pictures to names of taxa, at any rank."""

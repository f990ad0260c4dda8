"""What pictures can be: lists of taxa, their lineages and restrictions."""

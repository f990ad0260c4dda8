"""Where pictures and labels come from: the nine benchmarks, folders, CSV files, shards."""

"""Names, files, folders and hubs to what a model is and its weights, strictly."""

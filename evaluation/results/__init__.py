"""Result files: one JSON per task, its predictions and thumbnails beside it, and the published lines."""

"""What a run tells: its folder, train.jsonl, console, TensorBoard, Weights & Biases."""

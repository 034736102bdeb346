"""What is made of inference: health of components, scores over many windows, the paper's tables."""

"""Handwritten digits: the 1,797 8x8 images that come with scikit-learn."""

"""Image search: features, binary codes, and an index of them."""

"""From a recipe and packed images to weights: how a run begins, its loop, and what watches over it."""

"""Weights brought in from elsewhere, accepted only when the outputs agree with the original's, side by side."""

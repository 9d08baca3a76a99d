"""From weights and images to figures: protocols, errors, calibration, predictions."""

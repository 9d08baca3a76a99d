"""Error figures, calibration and what no net is needed for."""

"""Intervals around an estimate: calibration by tier, the online quantiles, and grades."""

"""How good the estimates are: metrics, baselines and walk-forward evaluation, nothing from the future."""

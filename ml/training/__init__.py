"""Fitting and judging: the pooled prior, a challenger per collection, the gate, and what is due."""

"""What learns a price: the pooled prior, the local residuals, their intervals, and scoring with champions."""

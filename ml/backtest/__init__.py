"""The backtest: walking forward through time with the production code; and what each ingredient is worth."""

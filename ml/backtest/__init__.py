"""The backtest: walking forward through time with the production code, and what each ingredient of the model is worth."""

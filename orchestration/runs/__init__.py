"""Running the jobs of the code location in order: the main job, the hourly refresh, the backtest."""

"""What is done about models that got worse: training again, rolling back, a lower tier, and the effect of each."""

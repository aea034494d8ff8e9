"""What is measured while the API runs: requests, saturation, processes, the machine, and the log for service levels."""

"""Output: lines on a terminal, commands to type, progress and pictures, all without secrets."""

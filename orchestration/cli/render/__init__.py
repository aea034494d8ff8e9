"""Results laid out for the terminal."""

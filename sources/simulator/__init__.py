"""A seeded market with a hidden true value for every token."""

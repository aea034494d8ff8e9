"""What a set of tokens is worth together: a sum of means, and an interval that knows errors move together."""

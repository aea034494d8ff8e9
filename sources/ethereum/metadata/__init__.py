"""What the tokens of watched contracts say of themselves: metadata, and the traits in it."""

"""Point-in-time features: one construction for past sales and for tokens to be valued."""

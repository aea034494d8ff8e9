"""Group portfolio: what wallets and owners hold, what it cost, what it is worth, and what was gained."""

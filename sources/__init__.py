"""What the market says: adapters that yield rows of the raw contract."""

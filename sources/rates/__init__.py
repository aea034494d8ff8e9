"""Rates of currencies: CoinGecko, and public candles of exchanges."""

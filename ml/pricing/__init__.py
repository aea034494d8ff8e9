"""What a token is worth: one function, `price.price`, from features and models to an estimate with its interval.

Here: which tier prices a collection (`ml.pricing.tiers`), the models behind the tiers (`ml.pricing.models`), the
estimate (`ml.pricing.price`), and the scoring that writes one for every token (`ml.pricing.scoring`). Not here:
fitting models (`ml.models`), or measuring errors (`ml.metrics`). Scoring, the backtest, the comparison of two
champions and the explanation all call `ml.pricing.price.price`.
"""

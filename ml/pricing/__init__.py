"""What a token is worth: one function, `price.price`, from features and models to an estimate with its interval.

Here: which tier prices a collection (`tiers`), the models behind the tiers (`models`), the estimate (`price`), and the
scoring that writes one for every token (`scoring`). Not here: fitting models (`ml.models`), or measuring errors
(`ml.metrics`). Scoring, the backtest, the comparison of two champions and the explanation all call `price.price`.
"""

"""Why a token has its price: an estimate split into parts, with the sales that it can be compared with."""

"""Why a token has its price: an estimate taken apart, beside the sales that it can be compared with."""

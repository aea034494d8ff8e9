"""`make bench`: what Assay costs and how good it is, measured here and now."""

"""The pooled prior and the models of collections: assets, jobs, partitions and checks."""

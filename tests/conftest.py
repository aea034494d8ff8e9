"""What all tests share."""

from hypothesis import settings

# No test asserts a time: a busy machine must not fail one.
settings.register_profile("assay", deadline=None)
settings.load_profile("assay")

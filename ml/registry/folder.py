"""Where a home keeps its model files, for whoever only needs the name of the place."""

FOLDER = "artifacts"
"""Folder of model files in a home, unless a setting names another place."""

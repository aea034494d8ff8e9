"""The store of published answers: one SQLite file per version, written from the lake and swapped as a whole."""

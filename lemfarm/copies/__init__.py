"""Copies of a whole farm: into another database, into one file, and back."""

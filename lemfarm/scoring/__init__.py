"""Scoring answers that lie in files: LEM's record shapes and our own, of any size, without touching a farm."""

"""Datasets mixed from several sources by a recipe: named categories in stated shares or numbers."""

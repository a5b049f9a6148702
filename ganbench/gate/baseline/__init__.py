"""Baselines: sessions and training runs that are stored, and compared with later ones."""

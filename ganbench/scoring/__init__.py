"""Torch: generating images and scoring them, with everything that a score depends on."""

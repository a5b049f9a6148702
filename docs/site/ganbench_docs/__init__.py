"""Generates the reference pages of the site from ganbench itself, so that they cannot differ from the code."""

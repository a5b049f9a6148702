"""`python -m ganbench`, for a Python whose scripts are not on the path."""

from .cli import app

app(prog_name="ganbench")

"""User-facing output: consoles, tables, the live display and plots."""

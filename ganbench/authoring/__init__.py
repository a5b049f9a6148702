"""What plugin authors run: `ganbench plugin new` and `ganbench plugin check`."""

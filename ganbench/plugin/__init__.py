"""What a plugin author reads: hooks, registrations, interfaces, callbacks; and the registry that finds plugins."""

"""The plugin API (hooks, registrations, interfaces, callbacks) and the registry that finds plugins."""

"""Which ganbench this is."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("ganbench")
except PackageNotFoundError:  # imported from a checkout that is not installed
    __version__ = "unknown"

PLUGIN_API = 1  # version of hooks, registrations and interfaces; a plugin may state the one it needs

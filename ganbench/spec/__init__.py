"""What a benchmark is: its spec, overrides on the command line, and how a run was started."""

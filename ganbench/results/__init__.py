"""Results of runs: the schema, the run directory, the environment, and comparison between results."""

"""Train one benchmark, from data to scores."""

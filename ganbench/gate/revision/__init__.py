"""What to compare: a revision of the repository, with its own code and files."""

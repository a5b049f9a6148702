"""The same training four ways: the notebook's loop, a hand-tuned one, Lightning's, and ganbench's."""

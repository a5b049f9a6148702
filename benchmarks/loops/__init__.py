"""The same training in four implementations: the notebook's loop, a hand-tuned loop, Lightning and ganbench."""

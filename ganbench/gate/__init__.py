"""Compare two versions of code in speed, memory and scores, and fail a build on a regression.

Nothing here imports torch.
"""

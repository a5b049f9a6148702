"""The process and its surroundings: files, streams, signals, threads, source code. Nothing here is specific to GANs."""

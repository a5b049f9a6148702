"""Generate images and score them, recording everything that a score depends on."""

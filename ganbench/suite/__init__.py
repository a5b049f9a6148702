"""Many runs of one benchmark."""

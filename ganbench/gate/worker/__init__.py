"""The process of a session, a probe or a training run. Its files import only the standard library and public names."""

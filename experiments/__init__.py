"""Launching: flags, a config, one call."""

"""Code that others wrote, called where it can hang or crash without the run.

Imports neither jax nor what does: a worker process is there within a moment.
"""

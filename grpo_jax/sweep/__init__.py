"""Hyperparameter sweeps: trials of an experiment, each the real training command in a process.

Nothing here imports jax: the children get the memory and the devices.
"""

"""Programs written by a model, run contained: `judge.run_python` is what to call.

This file imports nothing: the launcher, which starts once an answer, would pay for it.
"""

"""The impure part: the loop, files, checkpoints, evaluation, what a person sees."""

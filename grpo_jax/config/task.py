"""What can be asked."""

from grpo_jax.config.games import Calculator, Guess
from grpo_jax.config.mixture import Curriculum, Mixture, Single

Task = Single | Curriculum | Mixture | Guess | Calculator

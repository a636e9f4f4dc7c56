"""Contradictions between the parts of an experiment."""

import pytest

from grpo_jax import config
from tests.config.helpers import architecture, experiment, refused


def test_no_stages():
  refused(experiment(stages={}), "stages")


@pytest.mark.parametrize("tokens", [128, 129])
def test_answers_longer_than_the_context(tokens):
  """Pitfall 23 begins here: no room for the prompt."""
  stage = config.GRPO(rollout=config.Rollout(max_tokens=tokens))
  refused(experiment(stage), "stages.grpo", str(tokens), "context_length", "128")


def test_solutions_longer_than_the_context():
  refused(experiment(config.SFT(max_tokens=128)), "stages.grpo", "128")


def test_the_longest_answer_that_leaves_room():
  config.check(experiment(config.GRPO(rollout=config.Rollout(max_tokens=127))))


def test_greedy_answers_of_the_evaluation_longer_than_the_context():
  refused(experiment(evaluation=config.Evaluation(max_tokens=128)), "evaluation", "128")


def test_weights_bring_a_context_that_is_read_later():
  config.check(experiment(model=config.Model(weights="model.gguf")))


def test_every_stage_is_checked_not_only_the_first():
  stages = {"sft": config.SFT(), "grpo": config.GRPO(rewards={})}
  refused(experiment(stages=stages), "stages.grpo", "rewards")


@pytest.mark.parametrize(("low", "high"), [(10, 10), (99, 10)])
def test_sums_of_no_numbers(low, high):
  refused(config.Addition(low=low, high=high), f"low={low}", f"high={high}")


@pytest.mark.parametrize("question", ["What is {a} + 7?", "What is the sum?", ""])
def test_a_question_that_does_not_ask(question):
  refused(config.Addition(question=question), "question", "{a}", "{b}")


def test_questions_without_a_file():
  refused(config.Questions(held_out="test.jsonl"), "train")
  config.check(config.Questions(train="train.jsonl"))  # a share of it is held out


def test_a_deep_contradiction_of_the_architecture_is_named_by_its_flag():
  model = config.Model(tokenizer="characters", architecture=architecture(heads=4, kv_heads=3))
  refused(experiment(model=model), "config.model.architecture", "kv_heads=3")

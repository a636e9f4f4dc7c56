"""What stages of texts refuse before anything is read."""

import pytest

from grpo_jax.config import ChatSFT, Optimizer, Pretrain, Texts, check
from tests.config.helpers import experiment, refused

_FILES = {"train": "a.jsonl", "held_out": "b.parquet"}


@pytest.mark.parametrize("name", ["train", "column"])
def test_texts_without_a_file_or_a_column(name):
  refused(Texts(**{**_FILES, name: ""}), f"{name} must name a ")
  check(Texts(**_FILES))
  check(Texts(train="a.jsonl", held_out_share=0.2))
  refused(Texts(**_FILES, held_out_share=0.2), "held_out_share=0.2", "held_out names a file")


def test_chats_come_from_files_alone():
  refused(ChatSFT(), "texts is None", "SFT")
  check(ChatSFT(texts=Texts(**_FILES)))
  check(Pretrain())


def test_rows_that_micro_batches_do_not_divide():
  refused(Pretrain(batch_size=32, optimizer=Optimizer(micro_batches=5)), "batch_size = 32")
  refused(ChatSFT(batch_size=32, optimizer=Optimizer(micro_batches=5)), "batch_size = 32")


def test_a_row_may_be_as_long_as_the_context_and_no_longer():
  check(experiment(Pretrain(length=128)))
  refused(experiment(Pretrain(length=129)), "stages.grpo", "context_length is 128")

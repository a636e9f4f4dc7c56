"""What happens to a run from outside, and what it does then: a row each, and each has its tests.

Rows are named by `pytest.mark.fault(number)` on the tests that inject them, wherever these are.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
  """fault: what is done to a run. answer: what it does, in the present tense."""

  fault: str
  answer: str


ROWS = {
  1: Row(
    "SIGTERM or Ctrl-C in any phase, compiling and saving too",
    "what is in work ends, its state is saved, exit code 143 or 130 and the command that resumes;"
    " a second signal ends it at once",
  ),
  2: Row(
    "SIGKILL in any phase, also as a folder takes another's place",
    "the same command ends with the same figures and parameters, bit for bit",
  ),
  3: Row(
    "a full disk as a checkpoint is written",
    "a line with bytes needed and free; earlier checkpoints whole; exit code 2, or it goes on as"
    " long as `--tolerate_save_failures` lets it",
  ),
  4: Row("a run folder that cannot be written", "one line before the model is loaded"),
  5: Row(
    "a checkpoint is cut, a bit flips, a file is missing",
    "the file is named, the newest good one is used, the bad one is set aside",
  ),
  6: Row(
    "a checkpoint of another model",
    "the arrays that differ are named with both shapes; nothing is changed",
  ),
  7: Row(
    "two runs in one folder",
    "the second names host and process of the first; the lock of a dead one holds nobody up",
  ),
  8: Row("another config in a run's folder", "refused with the fields that differ"),
  9: Row(
    "a save fails behind the run's back", "said at the next save or the end; never exit code 0"
  ),
  10: Row(
    "a loss or gradient that is not finite",
    "the update is skipped and counted, the batch kept to be replayed; three in a row end the run",
  ),
  11: Row("a gradient a thousand times too large", "the update is clipped or skipped, and counted"),
  12: Row("a reward raises at an answer", "no score for it, counted, the traceback once"),
  13: Row("a reward raises at every answer", "the run stops with why, before any update"),
  14: Row(
    "a reward hangs: asleep, in a loop, in C, with children",
    "its process group is killed at its deadline; the other answers have their scores",
  ),
  15: Row(
    "a reward returns None, text, infinity, an array", "invalid, with what it was and at what"
  ),
  16: Row("a reward's process crashes or has no memory", "a new one; the answer is counted"),
  17: Row(
    "no group has signal", "no update: parameters stay to the bit, nothing is NaN, one warning"
  ),
  18: Row("every answer is cut off", "a warning with the share; figures finite"),
  19: Row("an answer without a word; a prompt too long", "learned from; refused by name, not cut"),
  20: Row(
    "data: no such column, broken JSON, empty, not UTF-8, held-out rows in training",
    "file, line and what was expected, before the model is loaded",
  ),
  21: Row(
    "a mistyped flag, a wrong type, fields that contradict",
    "one line with flag, value and the nearest name, before anything is compiled",
  ),
  22: Row(
    "too little memory",
    "what was asked for, the plan's estimate and fields to lower; checkpoints whole",
  ),
  23: Row("the tracker's folder is full or broken", "one warning; metrics.jsonl is complete"),
  24: Row("another tokenizer or chat template as a run resumes", "refused with both fingerprints"),
  25: Row("a chat template that attacks or has no end", "an error or a limit; no code is run"),
  26: Row("config.json that names code; pickles", "refused, or not followed; no code is run"),
  27: Row("paths in a model's files that leave its folder", "refused; nothing is written outside"),
  28: Row(
    "a model's program attacks: forks, memory, network, files, exits",
    "contained, no point for it, and the host as it was",
  ),
  29: Row("a sweep's worker dies, a trial crashes", "others finish; only what is missing is rerun"),
  30: Row("other devices after a resume", "the same run to rounding, and a line that says so"),
  31: Row("the clock jumps, another host's name, relative folder", "no effect"),
  32: Row("a torn last line of metrics.jsonl", "cut off; no step twice"),
  33: Row("SIGKILL between two stages", "the right stage, once, with the reference it had"),
  34: Row("a copied checkpoint without its marker", "refused or used with a line; never deleted"),
  35: Row(
    "an answer with scripts, control codes, half a character, a million signs",
    "page, terminal and files unharmed",
  ),
  36: Row("a reward prints, reads stdin, changes the process", "stays in its process and its log"),
  37: Row("one of several processes dies, hangs or lags", "the others end with a line; resumable"),
  38: Row("compiled programs damaged, or their folder read-only", "compiled anew; the run goes on"),
  39: Row(
    "odd locale, no TMPDIR, a home that cannot be written", "works, or says so before step 0"
  ),
  40: Row("rewards that differ by rounding", "no signal, and no advantage of 1"),
  41: Row(
    "the reference of a KL, or the best policy, is damaged", "the run stops and names the file"
  ),
  42: Row("a run is killed while rewards are at work", "no worker outlives it"),
  43: Row("an accelerator is asked for that is not there", "one line, before the model is loaded"),
  44: Row("an extra is not installed", "one line names it; a figure or a picture is left out"),
  45: Row("metrics.jsonl cannot be written", "a line; the run goes on from its newest checkpoint"),
  46: Row("a download is cut or damaged", "its checksum is looked at; fetched anew, or a line"),
}

"use strict";
// Which samples there are: stages, their steps, the prompts of each; and which match a search.

const records = given("records");
const stages = [];  // {name, steps: [{step, records}]}

for (const record of records) {
  let stage = stages.find(one => one.name === record.stage);
  if (!stage) stages.push(stage = {name: record.stage, steps: []});
  let step = stage.steps[stage.steps.length - 1];
  if (!step || step.step !== record.step) stage.steps.push(step = {step: record.step, records: []});
  step.records.push(record);
}

/** Records that have the query, in lower case, in their prompt or an answer. */
const matching = query => records.filter(record => [record.prompt, ...record.completions]
  .some(text => text.toLowerCase().includes(query)));

const MOST_SHOWN = 200;
const stageOf = record => stages.find(stage => stage.name === record.stage);
const stepOf = record => stageOf(record).steps.find(step => step.step === record.step);

/** The mean of the rewards that are known. */
function meanReward(record) {
  const known = (record.rewards || []).filter(isNumber);
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length : undefined;
}

/** The step of a stage that is nearest to another; stages that are not there have none. */
function nearestStep(name, step) {
  const stage = stages.find(one => one.name === name);
  if (!stage) return undefined;
  return stage.steps.reduce((a, b) => Math.abs(b.step - step) < Math.abs(a.step - step) ? b : a);
}

/** The first prompt of the last step: what is shown before anything is chosen. */
const latest = () => stages[stages.length - 1].steps.slice(-1)[0].records[0];

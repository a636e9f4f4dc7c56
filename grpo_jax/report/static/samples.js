"use strict";
// Which samples there are: stages, their steps, the prompts of each; and which match a search.

const records = given("records");
const stages = []; // {name, steps: [{step, records}]}
const places = new Map(); // record -> {at, stage, step}

records.forEach((record, at) => {
  let stage = stages.find(one => one.name === record.stage);
  if (!stage) stages.push((stage = {name: record.stage, steps: []}));
  let step = stage.steps[stage.steps.length - 1];
  if (!step || step.step !== record.step)
    stage.steps.push((step = {step: record.step, records: []}));
  step.records.push(record);
  places.set(record, {at, stage, step});
});

const MOST_SHOWN = 200;
const atOf = record => places.get(record).at;
const stageOf = record => places.get(record).stage;
const stepOf = record => places.get(record).step;

const asked = {query: "", found: []}; // the last search

/** Records that have the query, in lower case, in their prompt or an answer. */
function matching(query) {
  if (query !== asked.query) {
    const found = records.filter(record =>
      [record.prompt, ...record.completions].some(text => text.toLowerCase().includes(query)),
    );
    Object.assign(asked, {query, found});
  }
  return asked.found;
}

/** The mean of the rewards that are known. */
function meanReward(record) {
  const known = (record.rewards || []).filter(isNumber);
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length : undefined;
}

/** The step of a stage that is nearest to another; stages that are not there have none. */
function nearestStep(name, step) {
  const stage = stages.find(one => one.name === name);
  if (!stage) return undefined;
  return stage.steps.reduce((a, b) => (Math.abs(b.step - step) < Math.abs(a.step - step) ? b : a));
}

/** The first prompt of the last step: what is shown before anything is chosen. */
const latest = () => stages[stages.length - 1].steps.slice(-1)[0].records[0];

"use strict";
// One answer, and the prompt above them.

const SORTS = {
  sampled: ["as sampled", () => 0],
  reward: ["reward", (record, g) => own(record, "rewards", g)],
  advantage: ["advantage", (record, g) => own(record, "advantages", g)],
  length: ["length", (record, g) => own(record, "lengths", g)],
  logprob: ["mean log-prob", (record, g) => meanLogprob(record, g)],
};

const own = (record, field, g) => (record[field] ? record[field][g] : undefined);

function meanLogprob(record, g) {
  const known = (own(record, "logprobs", g) || []).filter(isNumber);
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length : undefined;
}

/** The places of a prompt's answers: the greatest first, or the least; what has no figure last. */
function ordered(record, sort, rising) {
  const places = record.completions.map((_, g) => g),
    key = SORTS[sort][1];
  if (sort === "sampled") return rising ? places.reverse() : places;
  const figure = g => {
    const value = key(record, g);
    return isNumber(value) ? value : undefined;
  };
  return places.sort((a, b) => {
    const [left, right] = [figure(a), figure(b)];
    if (left === undefined || right === undefined)
      return (left === undefined) - (right === undefined) || a - b;
    return (rising ? left - right : right - left) || a - b;
  });
}

function promptCard(record, query) {
  const about = [
    ["step", record.step],
    ["task", record.task],
    ["level", record.level],
  ].filter(([, value]) => value !== undefined && value !== "");
  const card = make(
    "div",
    {class: "asked"},
    make(
      "h3",
      {},
      `${record.stage}, ` + about.map(([name, value]) => `${name} ${value}`).join(", "),
    ),
    make("div", {class: "text", dir: "auto"}, ...seen(record.prompt, query)),
  );
  if (typeof record.answer === "string")
    card.append(make("p", {class: "wanted"}, "wanted: ", make("bdi", {}, ...seen(record.answer))));
  return card;
}

function answerCard(record, g, query) {
  const tokens = own(record, "tokens", g),
    text = record.completions[g];
  const advantage = own(record, "advantages", g);
  const sign = advantage > 0 ? " better" : advantage < 0 ? " worse" : "";
  const card = make(
    "article",
    {class: "answer" + sign, "aria-label": `Answer ${g + 1}`},
    facts(record, g),
  );
  if (tokens && tokens.length) card.append(tokenStrip(tokens, own(record, "logprobs", g), query));
  else if (text === "") card.append(make("p", {class: "empty"}, "(nothing)"));
  else card.append(make("div", {class: "text", dir: "auto"}, ...seen(text, query)));
  return card;
}

function facts(record, g) {
  const list = make("ul", {class: "facts-line"}, make("li", {class: "number"}, "#" + (g + 1)));
  const add = (name, value, kind) =>
    list.append(make("li", {class: kind}, make("span", {}, ...seen(name), " "), value));
  const reward = own(record, "rewards", g),
    advantage = own(record, "advantages", g);
  add("reward", isNumber(reward) ? short(reward) : "not scored");
  for (const [name, part] of Object.entries(record.parts || {}))
    add(name, isNumber(part[g]) ? short(part[g]) : "not scored");
  if (isNumber(advantage))
    add("advantage", (advantage > 0 ? "+" : "") + short(advantage), "advantage");
  if (isNumber(own(record, "lengths", g))) add("tokens", String(record.lengths[g]));
  const mean = meanLogprob(record, g);
  if (mean !== undefined) add("mean log-prob", short(mean));
  const ended = own(record, "finished", g);
  if (ended !== undefined)
    list.append(make("li", {class: ended ? "ended" : "cut"}, ended ? "✓ finished" : "✂ cut"));
  return list;
}

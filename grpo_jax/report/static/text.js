"use strict";
// What a model has written, made visible: signs that would hide or turn text have their names.

const UNSEEN = new RegExp(
  "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f" +
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]",
  "u",
);

const nameOf = sign => "U+" + sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");

/** A text as nodes, with every place that matches `query` (in lower case) marked. */
function seen(text, query = "") {
  const nodes = [];
  let from = 0;
  for (const [start, end] of matches(text, query)) {
    nodes.push(
      ...plain(text.slice(from, start)),
      make("mark", {}, ...plain(text.slice(start, end))),
    );
    from = end;
  }
  return [...nodes, ...plain(text.slice(from))];
}

function plain(text) {
  const nodes = [];
  let run = "";
  for (const sign of text) {
    if (!UNSEEN.test(sign)) {
      run += sign;
      continue;
    }
    if (run) nodes.push(run);
    nodes.push(
      make("span", {class: "unseen", title: "a sign that is not to be seen"}, nameOf(sign)),
    );
    run = "";
  }
  if (run) nodes.push(run);
  return nodes;
}

/** [start, end] of each place where the query stands, upper or lower case. */
function matches(text, query) {
  const found = [],
    lower = text.toLowerCase();
  if (!query || lower.length !== text.length) return found;
  for (let at = lower.indexOf(query); at >= 0; at = lower.indexOf(query, at + query.length))
    found.push([at, at + query.length]);
  return found;
}

/** One line of at most `most` signs, around the first match. */
function snippet(text, most, query) {
  const line = text
    .slice(0, 4 * most + 4000)
    .replace(/\s+/gu, " ")
    .trim();
  const at = query ? line.toLowerCase().indexOf(query) : 0;
  const from = at > most - query.length ? at - Math.floor(most / 3) : 0;
  const cut = [...line.slice(from)].slice(0, most).join("");
  return (from ? "…" : "") + cut + (from + cut.length < line.length ? "…" : "");
}

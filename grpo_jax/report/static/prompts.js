"use strict";
// The list of prompts: those of the step, or all that match a search.

/** Fills the list; `choose` is called with the record of an entry that is clicked. */
function listPrompts(shown, chosen, query, choose) {
  const box = byId("prompts");
  box.replaceChildren(
    ...shown.map((record, at) => entry(record, at, record === chosen, query, choose)),
  );
  const at = shown.indexOf(chosen);
  if (at < 0) {
    box.removeAttribute("aria-activedescendant");
    return;
  }
  box.setAttribute("aria-activedescendant", "prompt-" + at);
  const row = box.children[at]; // into sight, without moving the page
  if (row.offsetTop < box.scrollTop) box.scrollTop = row.offsetTop;
  const below = row.offsetTop + row.offsetHeight - box.clientHeight;
  if (below > box.scrollTop) box.scrollTop = below;
}

function entry(record, at, isChosen, query, choose) {
  const mean = meanReward(record),
    mine = query && !record.prompt.toLowerCase().includes(query);
  const hit = mine
    ? record.completions.find(text => text.toLowerCase().includes(query))
    : undefined;
  const row = make(
    "div",
    {role: "option", id: "prompt-" + at, "aria-selected": isChosen, class: "entry"},
    make(
      "bdi",
      {class: "entry-text"},
      ...seen(snippet(record.prompt, 90, query) || "(nothing)", query),
    ),
  );
  if (hit !== undefined)
    row.append(make("bdi", {class: "entry-hit"}, ...seen(snippet(hit, 70, query), query)));
  const about = [
    query ? `${record.stage} step ${record.step}` : "",
    mean === undefined ? "not scored" : "reward " + short(mean),
    record.tokens ? "tokens" : "",
  ];
  row.append(make("span", {class: "entry-about"}, about.filter(Boolean).join(" · ")));
  row.addEventListener("click", () => choose(record));
  return row;
}

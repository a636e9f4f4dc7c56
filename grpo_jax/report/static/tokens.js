"use strict";
// Tokens by how probable they were: a colour and an underline, and the figure on hover and focus.

// The least probability of each, and how it is called.
const LIKELY = [
  [0.9, "0.9 and above"],
  [0.5, "0.5 to 0.9"],
  [0.2, "0.2 to 0.5"],
  [0.05, "0.05 to 0.2"],
  [0, "below 0.05"],
];

const likelihood = logprob => LIKELY.findIndex(([least]) => Math.exp(logprob) >= least);

function legendOfTokens() {
  const rows = LIKELY.map(([, name], at) =>
    make("li", {}, make("span", {class: "token p" + at}, "token"), " ", name),
  );
  return make(
    "ul",
    {class: "legend tokens-legend", "aria-label": "Probability of a token as it was sampled"},
    make("li", {class: "title"}, "probability when sampled:"),
    ...rows,
  );
}

/** An answer's tokens as spans; one of them can be reached by Tab, the others from there. */
function tokenStrip(texts, logprobs, query) {
  const strip = make("div", {
    class: "text strip",
    role: "group",
    dir: "auto",
    "aria-label": "Tokens; the arrows go from one to the next",
  });
  const hits = matches(texts.join(""), query);
  let from = 0;
  texts.forEach((text, at) => {
    const hit = hits.some(([start, end]) => start < from + text.length && end > from);
    from += text.length;
    strip.append(tokenOf(text, logprobs[at], at, texts.length, hit));
  });
  const first = strip.querySelector(".token");
  if (first) first.tabIndex = 0;
  strip.addEventListener("keydown", walk);
  return strip;
}

function tokenOf(text, logprob, at, count, hit) {
  if (!isNumber(logprob)) return make("span", {class: "heard"}, ...seen(text));
  const shown =
    text === ""
      ? [make("span", {class: "unseen"}, at === count - 1 ? "end" : "∅")]
      : seen(text.replaceAll("\n", "↵\n")); // a token too
  const name =
    `token ${at + 1} of ${count}, log-prob ${logprob.toFixed(3).replace("-", "−")},` +
    ` probability ${Math.exp(logprob).toPrecision(2)}`;
  const token = make(
    "span",
    {
      class: `token p${likelihood(logprob)}${hit ? " hit" : ""}`,
      tabindex: -1,
      "data-tip": name,
      role: "img",
      "aria-label": `${JSON.stringify(text)}, ${name}`,
    },
    ...shown,
  );
  return token;
}

/** From token to token: these keys go no further. */
function walk(event) {
  const tokens = [...event.currentTarget.querySelectorAll(".token")];
  const at = tokens.indexOf(document.activeElement);
  const next = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tokens.length - 1}[event.key];
  if (at < 0 || next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  if (!tokens[next]) return;
  tokens[at].tabIndex = -1;
  tokens[next].tabIndex = 0;
  tokens[next].focus();
}

/** The figure of the token under the pointer or in focus, beside it. */
function tipOf(target) {
  const tip = byId("tip"),
    token = target && target.closest && target.closest("[data-tip]");
  tip.hidden = !token;
  if (!token) return;
  tip.textContent = token.dataset.tip;
  const box = token.getClientRects()[0] || token.getBoundingClientRect();
  const left = Math.min(Math.max(box.left, 8), innerWidth - tip.offsetWidth - 8);
  const above = box.top - tip.offsetHeight - 6;
  tip.style.left = left + "px";
  tip.style.top = (above > 0 ? above : box.bottom + 6) + "px";
}

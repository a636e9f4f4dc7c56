"use strict";
// Elements. Texts of others become text nodes: nothing here, nor in the other files, reads HTML.

const byId = name => document.getElementById(name);

/** make("b", {class: "x"}, "text", child); an attribute that is undefined or null is left out. */
function make(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same of SVG. */
function draw(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes))
    if (value !== undefined && value !== null) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** The JSON of a script element. */
const given = name => JSON.parse(byId(name).textContent);

const isNumber = value => typeof value === "number" && Number.isFinite(value);

/** Four digits, with a true minus. */
function short(value) {
  if (!isNumber(value)) return "–";
  const size = Math.abs(value);
  const text =
    size !== 0 && (size < 1e-3 || size >= 1e6)
      ? value.toExponential(2)
      : String(Number(value.toPrecision(4)));
  return text.replace("-", "−").replace("e+", "e");
}

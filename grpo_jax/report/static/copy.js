"use strict";
// Buttons that copy the line beside them.

function copied(button) {
  button.textContent = "Copied";
  setTimeout(() => {
    button.textContent = "Copy";
  }, 1500);
}

function copyOld(button, text) {
  // where the page has no clipboard
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  if (document.execCommand("copy")) copied(button);
  area.remove();
}

for (const button of document.querySelectorAll("button.copy"))
  button.addEventListener("click", () => {
    const text = button.parentElement.querySelector("pre").textContent;
    if (navigator.clipboard)
      navigator.clipboard.writeText(text).then(
        () => copied(button),
        () => copyOld(button, text),
      );
    else copyOld(button, text);
  });

/* Ctrl+K: a box that leads to things and actions. The server says what there is; this moves along the lines. */
(() => {
  "use strict";

  let shown = null; // the words that the lines are for
  let isGoing = false; // Enter came before the lines of these words

  const dialog = () => document.getElementById("palette");
  const box = () => dialog().querySelector("input");
  const lines = () => [...dialog().querySelectorAll("[role=option]")];

  function choose(line) {
    for (const each of lines()) each.setAttribute("aria-selected", String(each === line));
    box().setAttribute("aria-activedescendant", line?.id || "");
    line?.scrollIntoView({ block: "nearest" });
  }

  function chosen() {
    return lines().find((line) => line.getAttribute("aria-selected") === "true");
  }

  function go() {
    isGoing = shown !== box().value;
    if (!isGoing) chosen()?.click();
  }

  function show(words) {
    shown = words;
    choose(lines()[0]);
    if (isGoing) go();
  }

  function open() {
    box().value = "";
    [shown, isGoing] = [null, false];
    dialog().showModal();
    window.htmx?.trigger(box(), "palette");
  }

  function move(by) {
    const all = lines();
    if (all.length) choose(all[(all.indexOf(chosen()) + by + all.length) % all.length]);
  }

  function press(event) {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k" && dialog()) {
      event.preventDefault();
      if (dialog().open) dialog().close();
      else if (!document.querySelector("dialog[open]")) open();
    } else if (dialog()?.open) {
      const acts = { ArrowDown: () => move(1), ArrowUp: () => move(-1), Enter: go };
      if (!acts[event.key] || event.isComposing) return;
      event.preventDefault();
      acts[event.key]();
    }
  }

  document.addEventListener("keydown", press);
  document.addEventListener("click", (event) => {
    if (event.target === dialog()) dialog().close();
    if (event.target.closest?.("[data-palette]")) open();
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "palette-lines") show(event.detail.requestConfig.parameters.q);
  });
  document.addEventListener("input", (event) => { if (dialog()?.open && event.target === box()) isGoing = false; });
})();

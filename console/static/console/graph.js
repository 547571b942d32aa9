/* Pointing at a card, or reaching it by keyboard, shows the lines that lead to it and away from it. */
(() => {
  "use strict";
  if (window.consoleGraph) return;
  window.consoleGraph = true;

  function mark(event) {
    const card = event.target.closest?.("[data-graph] .kc-node");
    for (const line of document.querySelectorAll("[data-graph] .is-near")) line.classList.remove("is-near");
    if (!card) return;
    const near = `[data-from="${card.id}"], [data-to="${card.id}"]`;
    for (const line of card.closest("[data-graph]").querySelectorAll(near)) line.classList.add("is-near");
  }

  /* The code of a node is folded: a link to it opens it. */
  function unfold() {
    const target = document.getElementById(window.location.hash.slice(1));
    if (target?.nodeName !== "DETAILS") return;
    target.open = true;
    target.scrollIntoView({ block: "start" });
  }

  document.addEventListener("pointerover", mark);
  document.addEventListener("focusin", mark);
  window.addEventListener("hashchange", unfold);
  document.addEventListener("DOMContentLoaded", unfold);
})();

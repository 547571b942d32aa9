/* The run form: a dot on every changed field, a way back for each, Ctrl+Enter, and open folds that stay open. */
(() => {
  "use strict";
  const form = document.getElementById("run-form");
  if (!form) return;

  const control = (field) => field.querySelector("[data-default]");
  const written = (input) => (input.type === "checkbox" ? String(input.checked) : input.value);

  function dot() {
    let count = 0;
    for (const field of form.querySelectorAll("[data-field]")) {
      const input = control(field);
      const isChanged = Boolean(input) && written(input) !== input.dataset.default;
      field.classList.toggle("is-changed", isChanged);
      field.querySelector("[data-dot]").hidden = field.querySelector("[data-undo]").hidden = !isChanged;
      count += isChanged;
    }
    form.querySelector("[data-changed-count]").textContent = count ? `${count} changed` : "";
  }

  function undo(event) {
    const button = event.target.closest("[data-undo]");
    if (!button) return;
    const input = control(button.closest("[data-field]"));
    if (input.type === "checkbox") input.checked = input.dataset.default === "true";
    else input.value = input.dataset.default;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    input.focus();
  }

  function start(event) {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
      event.preventDefault();
      form.requestSubmit(form.querySelector("[data-start]"));
    }
  }

  /* A fresh "will run" box keeps the folds of the one it replaces. */
  function keepFolds(event) {
    if (event.detail.target.id !== "will-run") return;
    const open = [...event.detail.target.querySelectorAll("details")].map((fold) => fold.open);
    document.addEventListener("htmx:afterSettle", () => {
      document.querySelectorAll("#will-run details").forEach((fold, place) => { fold.open = open[place]; });
    }, { once: true });
  }

  form.addEventListener("input", dot);
  form.addEventListener("change", dot);
  form.addEventListener("click", undo);
  document.addEventListener("keydown", start);
  document.addEventListener("htmx:beforeSwap", keepFolds);
  window.addEventListener("pageshow", dot);
  dot();
  form.querySelector(".has-errors :is(input, select, textarea)")?.focus();
})();

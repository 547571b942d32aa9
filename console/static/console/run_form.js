/* The run form: a dot on every changed field, a way back for each, Ctrl+Enter, and open folds that stay open. */
(() => {
  "use strict";
  const form = document.getElementById("run-form");
  if (!form) return;

  const SHOWN = 60; // fields that are found are shown at once up to here, else their groups
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
    for (const group of form.querySelectorAll(".kc-group")) {
      group.querySelector("[data-group-dot]").hidden = !group.querySelector("[data-field].is-changed");
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

  /* Only fields whose names have these words; a group shows when one of its fields does. */
  function find(event) {
    event.stopPropagation(); // what is looked for changes nothing of the run
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fields = [...form.querySelectorAll(".kc-asked [data-field]")];
    for (const field of fields) field.hidden = !words.every((word) => field.dataset.field.toLowerCase().includes(word));
    const found = fields.filter((field) => !field.hidden).length;
    for (const group of form.querySelectorAll(".kc-asked :is(.kc-group, .kc-fieldset)")) {
      group.hidden = !group.querySelector("[data-field]:not([hidden])");
      if (group.matches("details")) group.open = words.length > 0 && found <= SHOWN;
    }
    form.querySelector("[data-found]").textContent = words.length ? `${found} of ${fields.length}` : "";
  }

  /* A browser cannot lead to a field in a fold that is closed. */
  function unfold(event) {
    for (let fold = event.target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  }

  const finder = form.querySelector("[data-find-parameter]");
  finder?.addEventListener("input", find);
  finder?.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  form.addEventListener("invalid", unfold, true);
  form.addEventListener("input", dot);
  form.addEventListener("change", dot);
  form.addEventListener("click", undo);
  document.addEventListener("keydown", start);
  document.addEventListener("htmx:beforeSwap", keepFolds);
  window.addEventListener("pageshow", dot);
  dot();
  form.querySelector(".has-errors :is(input, select, textarea)")?.focus();
})();

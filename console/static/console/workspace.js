/* Links between the panes of a workspace: the address changes, the page stays. Without this they are plain links. */
(() => {
  "use strict";
  const WAIT = 250; // ms after the last letter
  const MARK = "console-pane";
  let newest = 0;
  let typing = 0;

  const root = () => document.querySelector(".kc-workspace");

  /* The newest wish counts; what the server does not give as a workspace is loaded as a page. */
  async function go(address, { push = true, focus = "", card = "" } = {}) {
    const number = (newest += 1);
    root().setAttribute("aria-busy", "true");
    let young = null;
    let text = "";
    try {
      const answer = await fetch(address, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
      text = answer.ok && !answer.redirected ? await answer.text() : "";
      young = new DOMParser().parseFromString(text, "text/html").querySelector(".kc-workspace");
    } catch { /* the server cannot be reached: the page itself says what it says */ }
    if (number !== newest) return;
    if (!young) { window.location.assign(address); return; }
    if (push) window.history.pushState({ [MARK]: true }, "", address);
    window.consolePage.morph(root(), document.adoptNode(young));
    root().removeAttribute("aria-busy");
    window.htmx?.process(root());
    document.dispatchEvent(new CustomEvent("console:changed", { detail: root() }));
    document.dispatchEvent(new CustomEvent("console:pane", { detail: { card } }));
    const again = focus && document.getElementById(focus);
    if (again) (again.matches("g") ? again.querySelector("a") : again)?.focus({ preventScroll: true });
  }

  function isPlain(event) {
    return event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey && !event.defaultPrevented;
  }

  function click(event) {
    const link = event.target.closest?.("a[data-pane]");
    if (!link || !isPlain(event) || !root()) return;
    event.preventDefault();
    const holder = link.closest("g[id]");
    go(link.getAttribute("href"), { focus: link.id || holder?.id, card: link.dataset.card });
  }

  function find(field) {
    const wanted = new URL(field.form.action);
    for (const [name, value] of new FormData(field.form)) if (value) wanted.searchParams.set(name, value);
    if (field.form.method === "get") go(wanted.pathname + wanted.search);
  }

  function type(event) {
    if (!event.target.matches?.("[data-pane-find]")) return;
    clearTimeout(typing);
    typing = setTimeout(() => find(event.target), WAIT);
  }

  function submit(event) {
    const field = event.target.querySelector?.("[data-pane-find]");
    if (!field) return;
    event.preventDefault();
    clearTimeout(typing);
    find(field);
  }

  /* In the tree: up and down from row to row, right and left open and fold a box; Escape goes back to the whole. */
  function press(event) {
    if (!root() || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") {
      if (!["INPUT", "TEXTAREA", "SELECT"].includes(event.target.nodeName)) document.getElementById("drawer-close")?.click();
      return;
    }
    const rows = [...document.querySelectorAll("#tree .kc-tree-row")];
    const at = rows.indexOf(document.activeElement);
    if (event.target.matches?.("[data-pane-find]") && event.key === "ArrowDown") rows[0]?.focus();
    else if (at < 0) return;
    else if (event.key === "ArrowDown") rows[Math.min(at + 1, rows.length - 1)].focus();
    else if (event.key === "ArrowUp") (rows[at - 1] || document.getElementById("tree-find")).focus();
    else if (event.key === "Home") rows[0].focus();
    else if (event.key === "End") rows.at(-1).focus();
    else if (event.key === "ArrowRight" && rows[at].getAttribute("aria-expanded") === "false") rows[at].click();
    else if (event.key === "ArrowLeft" && rows[at].getAttribute("aria-expanded") === "true") rows[at].click();
    else if (event.key === "ArrowLeft") rows[at].closest("ul ul")?.parentElement.querySelector(".kc-tree-row")?.focus();
    else return;
    event.preventDefault();
  }

  /* A refresh that was asked for before another view was chosen comes too late. */
  function refuse(event) {
    const told = /data-view="([^"]*)"/.exec(event.detail.serverResponse || "");
    if (!told || !root() || !event.detail.requestConfig?.elt.getAttribute("hx-trigger")?.startsWith("every")) return;
    const view = new DOMParser().parseFromString(told[1], "text/html").documentElement.textContent;
    if (view !== root().dataset.view) event.detail.shouldSwap = false;
  }

  document.addEventListener("click", click);
  document.addEventListener("htmx:beforeSwap", refuse);
  document.addEventListener("input", type);
  document.addEventListener("submit", submit);
  document.addEventListener("keydown", press);
  window.addEventListener("popstate", () => { if (root()) go(window.location.href, { push: false }); });
  document.addEventListener("DOMContentLoaded", () => window.history.replaceState({ [MARK]: true }, ""));
})();

/* What all pages share: times in the viewer's zone, refreshing in place, keys, copying, choosing rows. */
(() => {
  "use strict";

  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const short = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

  function ago(then, now, far = 7) {
    const seconds = (then - now) / 1000;
    const size = Math.abs(seconds);
    if (size < 45) return seconds > 0 ? "in a moment" : "just now";
    if (size < 3600 * 1.5) return relative.format(Math.round(seconds / 60), "minute");
    if (size < 86400 * 1.5) return relative.format(Math.round(seconds / 3600), "hour");
    if (size < 86400 * far) return relative.format(Math.round(seconds / 86400), "day");
    return short.format(then);
  }

  function words(element, now) {
    const then = new Date(element.dateTime);
    if (Number.isNaN(then.getTime())) return element.textContent;
    const isToday = then.toDateString() === now.toDateString();
    return {
      ago: () => ago(then, now),
      away: () => ago(then, now, Infinity),
      clock: () => (isToday || element.closest(".kc-log") ? clock : short).format(then),
      full: () => full.format(then),
      short: () => short.format(then),
    }[element.dataset.look || "short"]();
  }

  function lasting(milliseconds) {
    const seconds = Math.max(0, Math.round(milliseconds / 1000));
    const pad = (number) => String(number).padStart(2, "0");
    const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
    if (days) return `${days}d ${pad(hours)}h`;
    if (hours) return `${hours}h ${pad(minutes)}m`;
    return minutes ? `${minutes}m ${pad(seconds % 60)}s` : `${seconds}s`;
  }

  function write(element, text) {
    if (element.textContent !== text && !isMarked(element)) element.textContent = text;
  }

  /* A time of another zone's wall is said twice only where the viewer's own clock shows another one. */
  function isOnOurWall(then, zone) {
    const wall = { dateStyle: "short", timeStyle: "short" };
    const [ours, theirs] = [undefined, zone].map((timeZone) => new Intl.DateTimeFormat("en", { ...wall, timeZone }));
    return ours.format(then) === theirs.format(then);
  }

  function fold(element) {
    const moments = [...element.querySelectorAll("time[datetime]")].map((time) => new Date(time.dateTime));
    element.classList.toggle("is-our-zone", moments.every((then) => isOnOurWall(then, element.dataset.zone)));
  }

  function localise(root) {
    const now = new Date();
    for (const element of root.querySelectorAll("[data-zone]")) fold(element);
    for (const element of root.querySelectorAll("time[datetime]")) write(element, words(element, now));
    for (const element of root.querySelectorAll("[data-since]")) write(element, lasting(now - new Date(element.dataset.since)));
    for (const element of root.querySelectorAll("[data-until]")) write(element, lasting(new Date(element.dataset.until) - now));
  }

  function isField(element) {
    return element?.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(element?.nodeName);
  }

  function isMarked(node) {
    const selection = document.getSelection();
    return Boolean(selection && !selection.isCollapsed && selection.containsNode(node, true));
  }

  /* What the reader did stays: an open fold, what is typed, chosen or marked, what a script keeps itself. */
  function isTheReaders(name, node) {
    if (name === "open") return node.nodeName === "DETAILS";
    if (name === "value") return "defaultValue" in node && node.value !== node.defaultValue;
    if (name === "checked") return node.checked !== node.defaultChecked;
    return name === "selected" && node.selected !== node.defaultSelected;
  }

  function stays(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return isMarked(node);
    return node.dataset.morph === "keep" || (node === document.activeElement && isField(node));
  }

  /* An answer that does not bring a part says so: what is there stays. */
  function isLeftOut(young) {
    return young?.nodeType === Node.ELEMENT_NODE && "leftOut" in young.dataset;
  }

  /* What one is typing into goes when one has left it. */
  function mayGo(node) {
    const field = node.contains(document.activeElement) && isField(document.activeElement) ? document.activeElement : null;
    if (field) field.addEventListener("blur", () => node.remove(), { once: true });
    return !field;
  }

  /* A form stays the same only while it does the same: a press meant for one shall not reach another. */
  const DOES = "does:";
  function nameForms(tree) {
    const seen = {};
    for (const form of tree.querySelectorAll("form:not([id])")) {
      const action = form.getAttribute("action") || "";
      seen[action] = (seen[action] || 0) + 1;
      form.id = `${DOES}${action}:${seen[action]}`;
    }
  }

  /* Change a tree into another with as few touches as possible. */
  function morph(old, young) {
    const added = [];
    for (const tree of [old, young]) nameForms(tree);
    const callbacks = {
      beforeNodeMorphed: (node, young) => !stays(node) && !isLeftOut(young),
      beforeAttributeUpdated: (name, node) => !isTheReaders(name, node),
      beforeNodeRemoved: mayGo,
      afterNodeAdded: (node) => added.push(node),
    };
    window.Idiomorph.morph(old, young, { restoreFocus: false, callbacks });
    for (const form of old.querySelectorAll(`form[id^="${DOES}"]`)) form.removeAttribute("id");
    return added.filter((node) => node.nodeType === Node.ELEMENT_NODE);
  }

  function swapInPlace(style, target, fragment) {
    if (style !== "morph") return false;
    const young = fragment.nodeType === Node.DOCUMENT_FRAGMENT_NODE ? fragment.firstElementChild : fragment;
    const added = morph(target, young);
    localise(target);
    window.htmx.process(target); // what asks again may do so elsewhere, or more often
    document.dispatchEvent(new CustomEvent("console:changed", { detail: target }));
    return added;
  }

  function setUpHtmx() {
    if (!window.htmx) return;
    Object.assign(window.htmx.config, { allowEval: false, includeIndicatorStyles: false, historyCacheSize: 0, refreshOnHistoryMiss: true });
    window.htmx.defineExtension("morph", {
      isInlineSwap: (style) => style === "morph",
      handleSwap: swapInPlace,
    });
  }

  /* Rows chosen in a list: the bar above it says how many, and offers what can be done to all of them. */
  function countChosen(form) {
    const boxes = [...form.querySelectorAll("input[name=run]")];
    const chosen = boxes.filter((box) => box.checked);
    form.querySelector("[data-bulk-bar]").hidden = !chosen.length;
    form.querySelector("[data-bulk-count]").textContent = chosen.length;
    const all = form.querySelector("[data-bulk-all]");
    all.checked = chosen.length > 0 && chosen.length === boxes.length;
    all.indeterminate = chosen.length > 0 && chosen.length < boxes.length;
    for (const button of form.querySelectorAll("[data-bulk-for]")) {
      button.disabled = !chosen.every((box) => box.closest("tr").dataset.kind === button.dataset.bulkFor);
      button.title = button.disabled ? (button.dataset.bulkFor === "live" ? "Choose runs that have not ended" : "Choose runs that have ended") : "";
    }
  }

  function choose(event) {
    const form = event.target.closest?.("[data-bulk]");
    if (!form) return;
    const setAll = (is) => form.querySelectorAll("input[name=run]").forEach((box) => { box.checked = is; });
    if (event.target.matches("[data-bulk-all]")) setAll(event.target.checked);
    if (event.target.closest("[data-bulk-clear]")) setAll(false);
    countChosen(form);
  }

  async function copy(event) {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    const text = document.querySelector(button.dataset.copy)?.textContent || "";
    const before = button.innerHTML;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "The browser forbids copying";
    }
    setTimeout(() => { button.innerHTML = before; }, 1500);
  }

  const PLACES = { h: "/", p: "/pipelines/", r: "/runs/", a: "/library/", s: "/schedules/", w: "/workers/" };
  let isGoing = 0;

  function press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || isField(event.target) || document.querySelector("dialog[open]")) return;
    if (Date.now() - isGoing < 1500 && PLACES[event.key]) {
      window.location.assign(PLACES[event.key]);
    } else if (event.key === "?") {
      document.getElementById("keys")?.showModal();
    } else if (event.key === "Escape") {
      document.querySelector("[data-drawer-close]")?.click();
    } else if (event.key === "/") {
      const box = document.querySelector("[data-search]");
      if (!box) return;
      box.focus();
      box.select();
      event.preventDefault();
    } else if (event.key === "[" || event.key === "]") {
      const here = document.querySelector(".kc-tabs a[aria-current]");
      (event.key === "[" ? here?.previousElementSibling : here?.nextElementSibling)?.click();
    }
    isGoing = event.key === "g" ? Date.now() : 0;
  }

  /* A page that nobody looks at asks for nothing. */
  function restWhenHidden(event) {
    if (document.hidden && event.target.getAttribute("hx-trigger")?.startsWith("every")) event.preventDefault();
  }

  /* A button that is being pressed stays where it is until it was pressed. */
  let isPressed = false;
  function waitForRelease(event) {
    if (isPressed && event.detail.requestConfig?.elt.getAttribute("hx-trigger")?.startsWith("every")) event.detail.shouldSwap = false;
  }

  /* An address that names a fold leads into it. */
  function openNamed() {
    const fold = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (fold instanceof HTMLDetailsElement) fold.open = true;
  }

  setUpHtmx();
  document.addEventListener("DOMContentLoaded", openNamed);
  window.addEventListener("hashchange", openNamed);
  document.addEventListener("pointerdown", () => { isPressed = true; }, true);
  for (const end of ["pointerup", "pointercancel", "dragend"]) document.addEventListener(end, () => setTimeout(() => { isPressed = false; }), true);
  document.addEventListener("htmx:beforeSwap", waitForRelease);
  document.addEventListener("htmx:beforeRequest", restWhenHidden);
  document.addEventListener("click", copy);
  document.addEventListener("click", (event) => { if (event.target.closest?.("[data-bulk-clear]")) choose(event); });
  document.addEventListener("change", choose);
  document.addEventListener("keydown", press);
  document.addEventListener("console:changed", () => document.querySelectorAll("[data-bulk]").forEach(countChosen));
  document.addEventListener("htmx:afterSwap", (event) => localise(event.target.parentElement || document));
  document.addEventListener("DOMContentLoaded", () => {
    localise(document);
    document.querySelectorAll("[data-bulk]").forEach(countChosen);
    setInterval(() => { if (!document.hidden) localise(document); }, 1000);
  });
  window.consolePage = {
    localise,
    morph(old, young) {
      morph(old, young);
      localise(old);
    },
  };
})();

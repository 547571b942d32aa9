/* The graph of a pipeline, a run or the rules: where it opens, zoom, drag, find, folds; through refreshes it stays as it is.
   Layout and folds are the server's: a fold is a link that also works without this. */
(() => {
  "use strict";
  if (window.consoleGraph) return;
  window.consoleGraph = true;

  const SMALLEST_TEXT = 10; // px on the screen: below that nobody reads
  const SMALLEST_FONT = 12; // px in graph.css
  const READABLE = SMALLEST_TEXT / SMALLEST_FONT;
  const NARROWEST = 0.6; // until there, text is written larger than its card has it, so that it stays readable
  const SCROLL_BAR = 16;
  const [FARTHEST, NEAREST, STEP] = [0.1, 3, 1.25];
  const BAD = ["failed", "crashed"];
  const view = { scale: 1, left: 0, top: 0, found: "", query: "", at: -1, last: {} };
  const isKnown = new WeakSet();
  let asked = 0;

  const graph = () => document.querySelector("[data-graph]");
  const box = () => document.querySelector("[data-graph-box]");
  const svg = () => box()?.querySelector("svg");
  const cards = () => [...svg().querySelectorAll(".kc-node")];
  const names = () => JSON.parse(document.getElementById("graph-names")?.textContent || "[]").map(([id, name, status, key]) => ({ id, name, status, key }));
  const isField = (element) => ["INPUT", "TEXTAREA", "SELECT"].includes(element?.nodeName);

  function size() {
    const { width, height } = svg().viewBox.baseVal;
    return { width, height };
  }

  function room() {
    const most = parseFloat(getComputedStyle(box()).maxHeight);
    return { width: box().clientWidth, height: Number.isNaN(most) ? window.innerHeight * 0.7 : most };
  }

  function setSize() {
    const { width, height } = size();
    svg().setAttribute("width", Math.round(width * view.scale));
    svg().setAttribute("height", Math.round(height * view.scale));
    box().classList.toggle("is-far", view.scale < NARROWEST - 0.001);
    writeLarger();
  }

  /* Text that would be too small is written larger, and closer where it would leave its card. */
  function writeLarger() {
    const grow = view.scale < NARROWEST - 0.001 ? 1 : Math.max(1, READABLE / view.scale);
    if (grow === view.grow && grow === 1) return;
    view.grow = grow;
    svg().style.setProperty("--kc-grow", grow.toFixed(3));
    const texts = [...svg().querySelectorAll(".kc-node :is(.kc-label, .kc-about)")];
    for (const text of texts) for (const name of ["textLength", "lengthAdjust"]) text.removeAttribute(name);
    if (grow === 1) return;
    const most = (text) => Number(text.closest(".kc-node").querySelector("rect").getAttribute("width")) - Number(text.getAttribute("x") || 0) - 8;
    const long = texts.map((text) => [text, most(text)]).filter(([text, length]) => length > 0 && text.getComputedTextLength() > length);
    for (const [text, length] of long) {
      text.setAttribute("textLength", length.toFixed(1));
      text.setAttribute("lengthAdjust", "spacingAndGlyphs");
    }
  }

  function remember() {
    [view.left, view.top] = [box().scrollLeft, box().scrollTop];
    stick();
    showHere();
  }

  /* The small map of the whole: only where the whole does not fit into its window. */
  const map = () => document.querySelector("[data-graph-map]");
  const SHAPE = "http://www.w3.org/2000/svg";

  function drawMap() {
    if (!map()) return;
    const { width, height } = size();
    const whole = document.createElementNS(SHAPE, "svg");
    whole.setAttribute("viewBox", `0 0 ${width} ${height}`);
    whole.setAttribute("preserveAspectRatio", "none");
    for (const card of cards()) {
      const [x, y] = card.getAttribute("transform").match(/-?[\d.]+/g);
      const face = card.querySelector("rect");
      const mark = document.createElementNS(SHAPE, "rect");
      for (const [name, value] of Object.entries({ x, y, width: face.getAttribute("width"), height: face.getAttribute("height") })) mark.setAttribute(name, value);
      if (card.dataset.status) mark.setAttribute("class", `kc-is-${card.dataset.status}`);
      whole.append(mark);
    }
    const here = document.createElementNS(SHAPE, "rect");
    here.setAttribute("class", "kc-graph-here");
    whole.append(here);
    map().replaceChildren(whole);
    map().style.height = `${Math.round(Math.min(110, Math.max(24, 150 * height / width)))}px`;
    showHere();
  }

  function showHere() {
    const here = map()?.querySelector(".kc-graph-here");
    if (!here) return;
    const [area, scale] = [box(), view.scale];
    map().hidden = area.scrollWidth <= area.clientWidth + 2 && area.scrollHeight <= area.clientHeight + 2;
    const place = { x: area.scrollLeft / scale, y: area.scrollTop / scale, width: area.clientWidth / scale, height: area.clientHeight / scale };
    for (const [name, value] of Object.entries(place)) here.setAttribute(name, value.toFixed(1));
  }

  function goOnMap(event) {
    if (!map()?.contains(event.target) || (event.type === "pointermove" && !event.buttons)) return;
    const outer = map().getBoundingClientRect();
    const { width, height } = size();
    const [x, y] = [(event.clientX - outer.left) / outer.width, (event.clientY - outer.top) / outer.height];
    scrollTo(x * width * view.scale - box().clientWidth / 2, y * height * view.scale - box().clientHeight / 2);
    event.preventDefault();
  }

  /* The head of a frame stays in sight while the frame does: right of the head of the frame around it, else below. */
  function stick() {
    const [left, top, right] = [box().scrollLeft, box().scrollTop, box().scrollLeft + box().clientWidth].map((edge) => edge / view.scale);
    const put = {};
    for (const head of svg().querySelectorAll(".kc-frame-head")) {
      const [x, y, width, height, wide] = ["x", "y", "width", "height", "head"].map((name) => Number(head.dataset[name]));
      let across = Math.max(x, Math.min(left + 4, x + width - wide));
      let down = Math.max(y, Math.min(top + 4, y + height - 30));
      const around = put[head.dataset.parent];
      if (around && Math.abs(down - around.down) < 34 && across < around.end) {
        if (around.end + wide <= Math.min(x + width, right)) across = around.end;
        else down = Math.min(around.down + 34, y + height - 30);
      }
      put[head.id] = { down, end: across + wide + 6 };
      head.setAttribute("transform", `translate(${across.toFixed(1)} ${down.toFixed(1)})`);
    }
  }

  function scrollTo(left, top) {
    box().scrollTo({ left, top, behavior: "instant" });
    remember();
  }

  /* Zoom, and keep what is at this place of the window (else at the middle of the graph) where it is. */
  function zoom(scale, place) {
    const outer = box().getBoundingClientRect();
    const at = place || { x: outer.left + box().clientWidth / 2, y: outer.top + box().clientHeight / 2 };
    const before = svg().getBoundingClientRect();
    const [x, y] = [(at.x - before.left) / view.scale, (at.y - before.top) / view.scale];
    view.scale = Math.min(NEAREST, Math.max(FARTHEST, scale));
    setSize();
    const after = svg().getBoundingClientRect();
    scrollTo(box().scrollLeft + after.left + x * view.scale - at.x, box().scrollTop + after.top + y * view.scale - at.y);
  }

  function place(card) {
    const outer = box().getBoundingClientRect();
    const inner = card.getBoundingClientRect();
    return { left: box().scrollLeft + inner.left - outer.left, top: box().scrollTop + inner.top - outer.top, width: inner.width, height: inner.height };
  }

  function centre(card) {
    const { left, top, width, height } = place(card);
    scrollTo(left + Math.min(width, box().clientWidth) / 2 - box().clientWidth / 2, top + Math.min(height, box().clientHeight) / 2 - box().clientHeight / 2);
  }

  /* The first nodes: the uppermost cards, in the middle when they fit beside each other, else the leftmost ones. */
  function showFirst() {
    const all = cards().map(place);
    if (!all.length) return;
    const top = Math.min(...all.map((card) => card.top));
    const row = all.filter((card) => card.top < top + 4);
    const left = Math.min(...row.map((card) => card.left));
    const right = Math.max(...row.map((card) => card.left + card.width));
    scrollTo(right - left < box().clientWidth ? (left + right - box().clientWidth) / 2 : left - 16, 0);
  }

  function isEmpty() {
    const outer = box().getBoundingClientRect();
    return !cards().some((card) => {
      const { left, right, top, bottom } = card.getBoundingClientRect();
      return right > outer.left + 8 && left < outer.right - 8 && bottom > outer.top + 8 && top < outer.bottom - 8;
    });
  }

  function fitting() {
    const [whole, shown] = [size(), room()];
    return Math.min(shown.width / whole.width, shown.height / whole.height, 1);
  }

  function fit() {
    zoom(Math.max(fitting(), READABLE));
    if (isEmpty()) showFirst();
  }

  /* On what is chosen, else on what failed, else on what runs, else the whole or its whole width if that can be read, else
     on the first nodes. */
  function open() {
    const first = (statuses) => cards().find((card) => statuses.includes(card.dataset.status));
    const urgent = svg().querySelector(".kc-card-chosen") || first(BAD) || first(["running"]);
    const wide = Math.min((room().width - SCROLL_BAR) / size().width, 1);
    view.scale = fitting() >= READABLE ? fitting() : wide >= NARROWEST ? wide : 1;
    setSize();
    if (urgent) centre(urgent);
    else if (view.scale < 1 || fitting() >= 1) scrollTo(0, 0);
    else showFirst();
  }

  function mark() {
    for (const card of svg().querySelectorAll(".is-found")) card.classList.remove("is-found");
    if (view.found) document.getElementById(view.found)?.classList.add("is-found");
  }

  /* Show this node; a folded one is unfolded first. */
  async function show(entry) {
    view.found = entry.id;
    if (entry.key && !document.getElementById(entry.id)) {
      const query = new URLSearchParams(graph().dataset.folds);
      query.append("unfold", entry.key);
      await turn(here(query));
    }
    if (view.scale < NARROWEST) zoom(READABLE);
    mark();
    const card = document.getElementById(entry.id);
    if (card) centre(card);
  }

  function here(query) {
    const address = new URL(window.location.href);
    for (const name of ["unfold", "fold", "parameters"]) address.searchParams.delete(name);
    for (const [name, value] of query) address.searchParams.append(name, value);
    return address.pathname + address.search;
  }

  /* The same graph with other folds: the newest wish counts, and what was pressed stays where it is. */
  async function turn(address, pressed) {
    const number = (asked += 1);
    const id = pressed?.closest("g[id]")?.id || pressed?.id;
    const before = pressed?.closest("g[id]")?.getBoundingClientRect();
    const hadFocus = pressed && pressed === document.activeElement;
    graph().setAttribute("aria-busy", "true");
    let young = null;
    let whole = null;
    try {
      const answer = await fetch(address, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
      if (answer.ok && !answer.redirected) whole = new DOMParser().parseFromString(await answer.text(), "text/html");
      young = whole?.getElementById("graph");
    } catch { /* the server cannot be reached: the page asks it itself, and says what it says */ }
    if (number !== asked) return;
    if (!young) { window.location.assign(address); return; }
    const typed = graph().querySelector("[data-graph-find]").value;
    graph().replaceWith(document.adoptNode(young));
    window.history.replaceState(window.history.state, "", here(new URLSearchParams(graph().dataset.folds)) + window.location.hash);
    graph().querySelector("[data-graph-find]").value = typed;
    takeTree(whole);
    setUp();
    setSize();
    drawMap();
    const card = id && document.getElementById(id);
    stick();
    if (card && before) {
      const after = card.getBoundingClientRect();
      scrollTo(box().scrollLeft + after.left - before.left, box().scrollTop + after.top - before.top);
    } else if (fitting() >= READABLE) fit();
    else showFirst();
    if (isEmpty()) showFirst();
    if (hadFocus) (card?.querySelector("a") || card || box()).focus({ preventScroll: true });
    mark();
  }

  /* The tree beside the graph has the same folds. */
  function takeTree(whole) {
    const [old, young] = [document.getElementById("tree"), whole.getElementById("tree")];
    if (old && young) window.consolePage.morph(old, document.adoptNode(young));
  }

  /* Another view of the page was asked for: show what it is about. */
  function turned(event) {
    const card = box() && event.detail?.card ? document.getElementById(event.detail.card) : null;
    if (!card?.closest("[data-graph-box]")) return;
    if (view.scale < NARROWEST) zoom(READABLE);
    const { left, top, width, height } = place(card);
    const [right, bottom] = [box().scrollLeft + box().clientWidth, box().scrollTop + box().clientHeight];
    if (left < box().scrollLeft || top < box().scrollTop || left + width > right || top + height > bottom) centre(card);
  }

  function find(field, step) {
    const wanted = field.value.trim().toLowerCase();
    if (wanted !== view.query) {
      Object.assign(view, { query: wanted, at: -1 });
      step = 1;
    }
    const hits = wanted ? names().filter((entry) => entry.name.toLowerCase().includes(wanted)) : [];
    const note = graph().querySelector("[data-graph-hits]");
    if (!hits.length) {
      view.found = "";
      note.textContent = wanted ? "not found" : "";
      mark();
      return;
    }
    view.at = (view.at + step + hits.length) % hits.length;
    const said = `${view.at + 1} of ${hits.length}`;
    note.textContent = said;
    show(hits[view.at]).then(() => {
      graph().querySelector("[data-graph-hits]").textContent = said;
      if (document.activeElement === document.body || document.activeElement === box()) graph().querySelector("[data-graph-find]").focus({ preventScroll: true });
    });
  }

  function jump(name) {
    const wanted = name === "failed" ? BAD : [name];
    const those = names().filter((entry) => wanted.includes(entry.status));
    if (!those.length) return;
    const at = those.findIndex((entry) => entry.id === view.last[name]);
    const next = those[(at + 1) % those.length];
    view.last[name] = next.id;
    show(next);
  }

  /* Pointing at a card, or reaching it by keyboard, shows the lines that lead to it and away from it. */
  function near(event) {
    const card = event.target.closest?.("[data-graph] .kc-node");
    for (const line of document.querySelectorAll("[data-graph] .is-near")) line.classList.remove("is-near");
    if (!card) return;
    for (const line of svg().querySelectorAll(`[data-from="${card.id}"], [data-to="${card.id}"]`)) line.classList.add("is-near");
  }

  function zoomBy(wish, at) {
    if (wish === "fit") fit();
    else zoom(view.scale * (wish === "in" ? STEP : 1 / STEP), at);
  }

  function click(event) {
    const link = event.target.closest?.("[data-graph-link]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.defaultPrevented) {
      event.preventDefault();
      turn(link.dataset.graphLink || link.getAttribute("href"), link);
    }
    const button = event.target.closest?.("[data-graph-zoom]");
    if (button) zoomBy(button.dataset.graphZoom);
    const alarm = event.target.closest?.("[data-graph-jump]");
    if (alarm) jump(alarm.dataset.graphJump);
  }

  function press(event) {
    if (event.target.matches?.("[data-graph-find]")) {
      if (event.key === "Enter") { event.preventDefault(); find(event.target, event.shiftKey ? -1 : 1); }
      if (event.key === "Escape") { event.target.value = ""; find(event.target, 1); }
      return;
    }
    const wish = { "+": "in", "=": "in", "-": "out", "−": "out", 0: "fit" }[event.key];
    const isHere = event.target === document.body || event.target.id === "content" || event.target.closest?.("[data-graph]");
    if (!wish || !box() || !isHere || isField(event.target) || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    zoomBy(wish);
  }

  function wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(view.scale * Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) / 250), { x: event.clientX, y: event.clientY });
  }

  /* Drag with the mouse; a finger scrolls by itself. A press that moved is no click. */
  function drag(event) {
    if (event.button !== 0 || event.pointerType !== "mouse") return;
    const [area, x, y, left, top] = [box(), event.clientX, event.clientY, box().scrollLeft, box().scrollTop];
    if (x - area.getBoundingClientRect().left > area.clientWidth || y - area.getBoundingClientRect().top > area.clientHeight) return; // on a scroll bar
    const move = (moved) => {
      const [across, down] = [moved.clientX - x, moved.clientY - y];
      if (!area.classList.contains("is-dragged") && Math.hypot(across, down) < 5) return;
      area.classList.add("is-dragged");
      scrollTo(left - across, top - down);
    };
    const stop = () => {
      window.removeEventListener("pointermove", move);
      for (const end of ["pointerup", "pointercancel"]) window.removeEventListener(end, stop);
      if (!area.classList.contains("is-dragged")) return;
      const swallow = (clicked) => { clicked.preventDefault(); clicked.stopPropagation(); };
      window.addEventListener("click", swallow, { capture: true, once: true });
      setTimeout(() => { window.removeEventListener("click", swallow, { capture: true }); area.classList.remove("is-dragged"); }, 0);
    };
    window.addEventListener("pointermove", move);
    for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, stop);
  }

  function setUp() {
    const area = box();
    area.addEventListener("wheel", wheel, { passive: false });
    area.addEventListener("pointerdown", drag);
    area.addEventListener("dragstart", (event) => event.preventDefault());
    area.addEventListener("scroll", remember, { passive: true });
    isKnown.add(area);
  }

  function start() {
    if (!box() || isKnown.has(box())) return;
    setUp();
    open();
    drawMap();
  }

  /* A refresh writes the server's size over ours, and rubs out what we marked. */
  function keep() {
    if (!box()) return;
    if (!isKnown.has(box())) { start(); return; }
    const { left, top } = view;
    setSize();
    drawMap();
    if (box().scrollLeft !== left || box().scrollTop !== top) scrollTo(left, top);
    else stick();
    mark();
  }

  /* A refresh that was asked for before a fold was turned comes too late. */
  function refuse(event) {
    const told = /data-folds="([^"]*)"/.exec(event.detail.serverResponse || "");
    if (!told || !graph() || !event.detail.requestConfig?.elt.getAttribute("hx-trigger")?.startsWith("every")) return;
    const text = new DOMParser().parseFromString(told[1], "text/html").documentElement.textContent;
    if (text !== graph().dataset.folds) event.detail.shouldSwap = false;
  }

  /* The code of a node is folded: a link to it opens it. */
  function unfold() {
    const target = document.getElementById(window.location.hash.slice(1));
    if (target?.nodeName !== "DETAILS") return;
    target.open = true;
    target.scrollIntoView({ block: "start" });
  }

  document.addEventListener("pointerover", near);
  document.addEventListener("focusin", near);
  document.addEventListener("click", click);
  document.addEventListener("keydown", press);
  document.addEventListener("input", (event) => { if (event.target.matches?.("[data-graph-find]")) find(event.target, 0); });
  document.addEventListener("console:changed", keep);
  document.addEventListener("console:pane", turned);
  for (const kind of ["pointerdown", "pointermove"]) document.addEventListener(kind, goOnMap);
  document.addEventListener("htmx:beforeSwap", refuse);
  window.addEventListener("hashchange", unfold);
  document.addEventListener("DOMContentLoaded", start);
  document.addEventListener("DOMContentLoaded", unfold);
  if (document.readyState !== "loading") start();
})();

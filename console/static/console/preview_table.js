/* A table of any length: windows of it are fetched while one scrolls; sorting and finding is done over all rows. */
(() => {
  "use strict";
  const root = document.querySelector("[data-rows]");
  if (!root) return;
  const part = (name) => root.querySelector(`[data-${name}]`);
  const [note, box, table, tools] = ["rows-note", "rows-box", "table", "rows-tools"].map(part);
  const [find, column, operator, value] = ["table-filter", "where-column", "where-operator", "where-value"].map(part);
  const BLOCK = 200;
  const MOST = 10000; // rows of one scroll bar
  const KEPT = 30; // blocks
  const AROUND = 12; // rows drawn above and below what is seen
  const NUMBERS = ["whole number", "number"];
  const WORDLESS = ["empty", "filled"];
  const count = new Intl.NumberFormat();
  const query = new URL(location.href).searchParams;
  const wish = { sort: query.get("sort") || "", find: query.get("find") || "", where: query.get("where") || "" };
  let known = null; // the answer to the first window of this wish
  let blocks = new Map();
  let asked = new Map();
  let turn = 0;
  let height = 30;

  function address(more) {
    const asks = new URLSearchParams(more);
    if (root.dataset.sheet) asks.set("sheet", root.dataset.sheet);
    return `${root.dataset.rows}?${asks}`;
  }

  async function ask(more, signal, tries = 4) {
    const answer = await fetch(address(more), { credentials: "same-origin", signal, headers: { Accept: "application/json" } });
    if (!(answer.headers.get("Content-Type") || "").includes("json")) throw new Error("You may have been logged out: load the page again.");
    const told = await answer.json();
    if (answer.ok && !told.detail) return told;
    if (answer.status !== 503 || !tries) throw new Error(told.detail);
    await new Promise((done) => setTimeout(done, 1500));
    return ask(more, signal, tries - 1);
  }

  function asks(first) {
    const given = { first, limit: BLOCK };
    for (const [name, words] of Object.entries(wish)) if (words) given[name] = words;
    return given;
  }

  function fetchBlock(number) {
    if (blocks.has(number) || asked.has(number)) return asked.get(number);
    const mine = turn;
    const abort = new AbortController();
    const answer = ask(asks(number * BLOCK), abort.signal).then((told) => {
      if (mine !== turn) return null;
      blocks.set(number, told.rows);
      if (blocks.size > KEPT) blocks.delete(blocks.keys().next().value);
      return told;
    });
    const done = answer.finally(() => mine === turn && asked.delete(number));
    done.abort = () => abort.abort();
    asked.set(number, done);
    return done;
  }

  async function begin() {
    turn += 1;
    for (const each of asked.values()) each.abort();
    [blocks, asked] = [new Map(), new Map()];
    root.setAttribute("aria-busy", "true");
    say(known ? "Reading…" : note.textContent);
    const mine = turn;
    try {
      const told = await fetchBlock(0);
      if (mine !== turn) return;
      const isFirst = !known;
      known = told;
      if (isFirst) drawHead();
      mark();
      box.scrollTop = 0;
      loosen();
      draw();
      fix();
      if (isFirst) bring();
      say(sentence());
      root.removeAttribute("aria-busy");
      root.dataset.found = String(told.found);
      if (isFirst) describe();
    } catch (error) {
      if (mine === turn && error.name !== "AbortError") fail(error);
    }
  }

  function fail(error) {
    root.removeAttribute("aria-busy");
    say(known || table.tBodies[0].rows.length ? `${error.message}` : error.message, true);
    root.dataset.found = "-";
  }

  function say(words, isWrong = false) {
    note.textContent = words;
    note.classList.toggle("kc-bad", isWrong);
  }

  function sentence() {
    const [found, total] = [count.format(known.found), count.format(known.total)];
    const isNarrow = Boolean(wish.find || wish.where);
    const all = `${total} row${known.total === 1 ? "" : "s"} × ${count.format(known.columns.length + known.left_out)} columns`;
    const parts = [isNarrow ? `${found} of ${total} rows` : all];
    if (wish.sort) parts.push(`ordered by ${wish.sort.replace(/^-/, "")}, ${wish.sort.startsWith("-") ? "the largest" : "the least"} first`);
    if (known.found > MOST) parts.push(`the first ${count.format(MOST)} can be scrolled`);
    if (known.left_out) parts.push(`${count.format(known.left_out)} further columns are not shown`);
    return `${parts.join("; ")}. ${known.note}`.trim();
  }

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function drawHead() {
    const row = element("tr");
    for (const each of known.columns) {
      const heading = element("th");
      heading.scope = "col";
      const button = element("button");
      button.type = "button";
      button.dataset.sort = each.name;
      button.append(element("span", each.name), element("span", each.kind, "kc-small kc-muted"));
      heading.append(button);
      row.append(heading);
    }
    table.tHead.replaceChildren(row);
    column.replaceChildren(...known.columns.map((each) => new Option(each.name, each.name)));
    const [, name, how, words] = wish.where.match(/^([^]*?):(is|is_not|contains|above|at_least|below|at_most|empty|filled)(?::([^]*))?$/) || [];
    if (name) [column.value, operator.value, value.value] = [name, how, words || ""];
    find.value = wish.find;
    tools.hidden = !known.columns.length;
    value.hidden = WORDLESS.includes(operator.value);
  }

  async function describe() {
    try {
      const told = await ask({ described: 1 });
      told.columns.forEach((each, place) => {
        const heading = table.tHead.rows[0].cells[place].firstChild;
        const share = each.empty_share * 100;
        const empty = share ? `, ${share < 0.1 ? "<0.1" : share.toFixed(share < 10 ? 1 : 0)} % empty` : "";
        heading.children[1].textContent = each.kind + empty;
        const ends = each.least === null ? "" : `${short(each.least)} – ${short(each.most)}`;
        heading.append(element("span", ends, "kc-small kc-muted"));
        heading.title = each.least === null ? each.name : `${each.name}: ${each.least} – ${each.most}`;
      });
      const isUntouched = !box.scrollTop;
      loosen();
      fix();
      if (isUntouched) bring();
      root.dataset.described = "1";
    } catch (error) {
      root.dataset.described = error.message;
    }
  }

  function short(text) {
    return text.length > 18 ? `${text.slice(0, 17)}…` : text;
  }

  /* What a link orders by is seen, however far to the right it stands. */
  function bring() {
    const name = wish.sort.replace(/^-/, "");
    const place = known.columns.findIndex((each) => each.name === name);
    const heading = table.tHead.rows[0].cells[place];
    if (heading) box.scrollLeft = Math.max(0, heading.offsetLeft + heading.offsetWidth - box.clientWidth);
  }

  function mark() {
    for (const heading of table.tHead.rows[0].cells) {
      const name = heading.firstChild.dataset.sort;
      const isDown = wish.sort === `-${name}`;
      heading.setAttribute("aria-sort", isDown ? "descending" : wish.sort === name ? "ascending" : "none");
    }
    part("rows-clear").hidden = !(wish.find || wish.where || wish.sort);
    const here = new URL(location.href);
    for (const [name, words] of Object.entries(wish)) words ? here.searchParams.set(name, words) : here.searchParams.delete(name);
    history.replaceState(history.state, "", here);
  }

  function spacer(rows) {
    const row = element("tr", "", "kc-sheet-gap");
    row.setAttribute("aria-hidden", "true");
    const cell = element("td");
    cell.colSpan = known.columns.length || 1;
    cell.style.height = `${rows * height}px`;
    row.append(cell);
    return row;
  }

  function line(number) {
    const cells = blocks.get(Math.floor(number / BLOCK))?.[number % BLOCK];
    const row = element("tr");
    row.setAttribute("aria-rowindex", String(number + 2));
    known.columns.forEach((each, place) => {
      const cell = element("td", cells ? (cells[place] ?? "") : "…", NUMBERS.includes(each.kind) ? "kc-right" : "");
      if (cells?.[place]?.length > 40) cell.title = cells[place];
      row.append(cell);
    });
    return row;
  }

  function draw() {
    const most = Math.min(known.found, MOST);
    const first = Math.max(0, Math.floor(box.scrollTop / height) - AROUND);
    const last = Math.min(most, first + Math.ceil(box.clientHeight / height) + 2 * AROUND);
    const rows = [];
    for (let number = first; number < last; number += 1) rows.push(line(number));
    const empty = element("tr");
    empty.append(element("td", known.total ? "No row has that." : "There are no rows.", "kc-muted"));
    empty.firstChild.colSpan = known.columns.length || 1;
    table.tBodies[0].replaceChildren(...(most ? [spacer(first), ...rows, spacer(most - last)] : [empty]));
    table.setAttribute("aria-rowcount", String(most + 1));
    const real = rows[0]?.getBoundingClientRect().height || height;
    if (Math.abs(real - height) > 0.05) {
      height = real;
      return draw();
    }
    return want(first, last);
  }

  /* What is scrolled past at once is not fetched. */
  let waiting = 0;
  function want(first, last) {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      for (let block = Math.floor(first / BLOCK); block * BLOCK < last; block += 1) {
        if (blocks.has(block) || asked.has(block)) continue;
        fetchBlock(block).then((told) => told && draw(), (error) => error.name !== "AbortError" && say(error.message, true));
      }
    }, 60);
  }

  /* Columns keep their widths while rows come and go. */
  function loosen() {
    table.classList.remove("kc-sheet-fixed");
    for (const heading of table.tHead.rows[0].cells) heading.style.width = "";
    table.style.width = "";
  }

  function fix() {
    const headings = [...table.tHead.rows[0].cells];
    const widths = headings.map((heading) => Math.ceil(heading.getBoundingClientRect().width));
    headings.forEach((heading, place) => { heading.style.width = `${widths[place]}px`; });
    table.style.width = `${widths.reduce((sum, each) => sum + each, 0)}px`;
    table.classList.add("kc-sheet-fixed");
  }

  let later = 0;
  let frame = 0;
  box.addEventListener("scroll", () => {
    if (!known || frame) return;
    frame = requestAnimationFrame(() => { frame = 0; draw(); });
  }, { passive: true });
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("[data-sort]");
    if (!button) return;
    wish.sort = wish.sort === button.dataset.sort ? `-${button.dataset.sort}` : button.dataset.sort;
    begin();
  });
  find.addEventListener("input", () => {
    clearTimeout(later);
    later = setTimeout(() => { wish.find = find.value.trim(); begin(); }, 400);
  });
  operator.addEventListener("change", () => { value.hidden = WORDLESS.includes(operator.value); });
  tools.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(later);
    wish.find = find.value.trim();
    const isAsked = value.value.trim() || WORDLESS.includes(operator.value);
    const words = WORDLESS.includes(operator.value) ? [] : [value.value.trim()];
    wish.where = isAsked ? [column.value, operator.value, ...words].join(":") : "";
    begin();
  });
  part("rows-clear").addEventListener("click", () => {
    [wish.sort, wish.find, wish.where, find.value, value.value] = ["", "", "", "", ""];
    begin();
  });
  begin();
})();

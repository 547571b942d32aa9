/* The log of a run: older lines come as one scrolls up, new ones follow until one scrolls away; the page stays small. */
(() => {
  "use strict";

  const MOST = 3000;
  const PAUSE = 1000;
  const LEAST = 280; // pixels
  const BELOW = 16;
  const NEAR = 200;
  const TASTE = "console-log"; // what this browser remembers
  const FIELDS = ["node", "level", "text"];

  class Log {
    constructor(root) {
      this.root = root;
      this.box = root.querySelector("[data-logs-box]");
      this.list = root.querySelector("[data-logs-list]");
      this.form = root.querySelector("[data-logs-form]");
      this.button = root.querySelector("[data-logs-follow]");
      this.note = root.querySelector("[data-logs-note]");
      this.top = root.querySelector("[data-logs-top]");
      this.isFollowing = true;
      this.isBusy = false;
      this.search = 0;
      Object.assign(this, this.cut(this.list));
      this.listen();
      this.taste();
      this.hits = new window.consoleLog.Hits(this);
      this.folds = new window.consoleLog.Folds(this);
      this.begin();
    }

    /* Takes the mark out that says what the lines are a part of. */
    cut(lines) {
      const mark = lines.querySelector("[data-edge]");
      const { first, last, older, newer, final } = mark ? mark.dataset : {};
      mark?.remove();
      return { first: Number(first || 0), last: Number(last || 0), older: !!older, newer: !!newer, final: !!final };
    }

    listen() {
      this.box.addEventListener("scroll", () => this.scrolled(), { passive: true });
      this.button.addEventListener("click", () => (this.isFollowing ? this.follow(false) : this.toEnd()));
      this.listenToForm();
      this.root.querySelector("[data-logs-error]").addEventListener("click", (event) => {
        event.preventDefault();
        this.toError();
      });
      this.list.addEventListener("click", (event) => this.chooseLine(event));
      this.root.querySelector("[data-logs-wrap]").addEventListener("click", () => this.wrap(!this.isWrapped));
      this.root.querySelector("[data-logs-whole]").addEventListener("click", () => this.fill(!this.isWhole));
      document.addEventListener("keydown", (event) => this.escape(event), true);
      window.addEventListener("hashchange", () => this.root.isConnected && this.toLine());
      new ResizeObserver(() => this.fit()).observe(this.root.closest("main") || this.root);
      new ResizeObserver(() => this.isFollowing && this.toBottom()).observe(this.list); // a line has its height when it is shown
      window.addEventListener("resize", () => this.fit());
    }

    listenToForm() {
      const field = this.form.elements.text;
      this.form.addEventListener("submit", (event) => { event.preventDefault(); this.enter("after"); });
      this.form.addEventListener("change", (event) => { if (event.target.nodeName === "SELECT") this.filter(); });
      field.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || !event.shiftKey) return;
        event.preventDefault();
        this.enter("before");
      });
      field.addEventListener("input", () => {
        clearTimeout(this.typing);
        this.typing = setTimeout(() => this.filter(), 300);
      });
      this.root.querySelector("[data-logs-columns]").addEventListener("change", () => this.keepTaste());
    }

    /* Enter looks for what was typed; again, and it goes from hit to hit. */
    enter(way) {
      clearTimeout(this.typing);
      if (this.form.elements.text.value !== this.sought) this.filter();
      else if (this.seeks) this.hits.go(way);
    }

    escape(event) {
      const menu = this.root.querySelector("[data-logs-columns]");
      if (event.key !== "Escape" || !this.root.isConnected || !(menu.open || this.isWhole)) return;
      event.stopImmediatePropagation();
      if (!menu.open) this.fill(false);
      else if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
      menu.open = false;
    }

    /* The box ends where the window does: its last line is in sight. */
    fit() {
      const top = this.box.getBoundingClientRect().top + (this.isWhole ? 0 : window.scrollY);
      const height = `${Math.max(LEAST, Math.floor(window.innerHeight - top - BELOW))}px`;
      if (this.box.style.height === height) return;
      this.box.style.height = height;
      if (this.isFollowing) this.toBottom();
    }

    // ---- how it looks, as this browser remembers it

    get columns() {
      return [...this.root.querySelectorAll("[data-logs-columns] input")];
    }

    taste() {
      let kept = { hidden: ["logger"] };
      try { kept = JSON.parse(localStorage.getItem(TASTE)) || kept; } catch { /* a browser that keeps nothing */ }
      for (const box of this.columns) box.checked = !kept.hidden?.includes(box.value);
      this.wrap(kept.wrap !== false);
    }

    keepTaste() {
      const hidden = this.columns.filter((box) => !box.checked).map((box) => box.value);
      for (const box of this.columns) this.root.classList.toggle(`is-without-${box.value}`, !box.checked);
      try { localStorage.setItem(TASTE, JSON.stringify({ hidden, wrap: this.isWrapped })); } catch { /* as above */ }
      if (this.isFollowing) this.toBottom();
    }

    get isWrapped() {
      return this.root.querySelector("[data-logs-wrap]").getAttribute("aria-pressed") === "true";
    }

    /* Long lines go on below, or to the right. */
    wrap(is) {
      this.root.querySelector("[data-logs-wrap]").setAttribute("aria-pressed", String(is));
      this.box.classList.toggle("is-long", !is);
      this.keepTaste();
    }

    get isWhole() {
      return this.root.classList.contains("is-whole");
    }

    /* The log alone on the whole window, until Escape. */
    fill(is) {
      this.root.classList.toggle("is-whole", is);
      this.root.querySelector("[data-logs-whole]").setAttribute("aria-pressed", String(is));
      this.fit();
      if (this.isFollowing) this.toBottom();
    }

    /* The lines by node, or all in order. */
    async fold(is) {
      this.list.hidden = is;
      this.root.classList.toggle("is-folded", is);
      this.folds.show(is);
      this.keepAddress();
      if (is) this.list.replaceChildren();
      else await this.filter();
      this.tell();
    }

    // ---- reading

    async begin() {
      this.sought = this.form.elements.text.value;
      this.fit();
      if (this.folds.is) await this.fold(true);
      else if (new URLSearchParams(location.search).has("error")) this.showError(await this.seekError());
      else if (/^#L\d+$/.test(location.hash)) await this.toLine();
      else {
        this.toBottom();
        this.hits.grown();
        this.box.scrollIntoView({ block: "nearest" });
        this.fillUp();
      }
      this.tell();
      this.tick();
    }

    async tick() {
      if (!this.root.isConnected) return;
      const isFull = this.list.childElementCount >= MOST && !this.isFollowing;
      if (!document.hidden && !this.isBusy) {
        if (this.folds.is) await (this.final || this.folds.tick());
        else if (!isFull && (this.newer || !this.final)) await this.more("after");
      }
      setTimeout(() => this.tick(), this.newer && !isFull && !this.folds.is ? 50 : PAUSE);
    }

    /* Whether it looks for something, beyond whose lines they are. */
    get seeks() {
      return Boolean(this.form.elements.level.value || this.form.elements.text.value);
    }

    wanted() {
      const wanted = new URLSearchParams();
      for (const name of FIELDS) if (this.form.elements[name].value) wanted.set(name, this.form.elements[name].value);
      const around = this.form.elements.context.value;
      if (this.seeks && around !== "3") wanted.set("context", around);
      return wanted;
    }

    query(extra, url = this.root.dataset.url) {
      const wanted = this.wanted();
      for (const [name, value] of Object.entries(extra)) wanted.set(name, value);
      if (url === this.root.dataset.url) wanted.set("lines", "1");
      return `${url}?${wanted}`;
    }

    async fetch(extra) {
      this.isBusy = true;
      try {
        const answer = await fetch(this.query(extra), { headers: { "HX-Request": "true" }, credentials: "same-origin" });
        if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
        const holder = document.createElement("template");
        holder.innerHTML = await answer.text();
        window.consolePage.localise(holder.content);
        this.trouble = "";
        return holder.content;
      } catch (error) {
        this.trouble = `The log cannot be read at the moment (${error.message}); it is asked for again.`;
        return null;
      } finally {
        this.isBusy = false;
      }
    }

    async more(way) {
      const search = this.search;
      const lines = await this.fetch(way === "after" ? { after: this.last } : { before: this.first });
      if (lines && search === this.search && !this.folds.is) {
        const edge = this.cut(lines);
        for (const line of [...lines.children]) if (document.getElementById(line.id)) line.remove(); // seen beside another hit
        this.inPlace(() => (way === "after" ? this.append(lines, edge) : this.prepend(lines, edge)));
        this.hits.grown();
      }
      this.tell();
    }

    /* What is in sight stays where it is while lines come and go. */
    inPlace(change) {
      const line = [...this.list.children].find((each) => each.getBoundingClientRect().bottom > this.box.getBoundingClientRect().top);
      const before = line?.getBoundingClientRect().top;
      change();
      if (this.isFollowing) this.toBottom();
      else if (line?.isConnected) this.box.scrollTop += line.getBoundingClientRect().top - before;
      this.lastTop = this.box.scrollTop;
    }

    append(lines, edge) {
      this.list.append(lines);
      Object.assign(this, { last: edge.last, newer: edge.newer, final: edge.final });
      const surplus = this.list.childElementCount - MOST;
      for (let left = surplus; left > 0; left -= 1) this.list.firstElementChild.remove();
      if (surplus > 0) Object.assign(this, { first: this.number(this.list.firstElementChild), older: true });
    }

    prepend(lines, edge) {
      this.list.prepend(lines);
      Object.assign(this, { first: edge.first, older: edge.older });
      const surplus = this.list.childElementCount - MOST;
      for (let left = surplus; left > 0; left -= 1) this.list.lastElementChild.remove();
      if (surplus > 0) Object.assign(this, { last: this.number(this.list.lastElementChild), newer: true });
    }

    /* A search looks through a part of a long log at a time: it goes on until the box is full. */
    async fillUp() {
      const search = this.search;
      const isShort = () => this.list.clientHeight < this.box.clientHeight + NEAR;
      while (this.older && isShort() && search === this.search && this.root.isConnected && !this.folds.is && !this.trouble) {
        if (this.isBusy) await new Promise((resolve) => { setTimeout(resolve, 20); });
        else await this.more("before");
      }
    }

    number(line) {
      return line ? Number(line.id.slice(1)) : 0;
    }

    async replace(extra) {
      const search = (this.search += 1);
      const lines = await this.fetch(extra);
      if (lines && search === this.search) {
        Object.assign(this, this.cut(lines));
        this.list.replaceChildren(lines);
      }
      this.tell();
      return Boolean(lines) && search === this.search;
    }

    scrolled() {
      if (this.folds.is) return;
      const fromEnd = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight;
      if (fromEnd > 60 && this.isFollowing && this.box.scrollTop < this.lastTop) this.follow(false);
      else if (fromEnd < 4 && !this.newer && !this.isFollowing) this.follow(true);
      this.lastTop = this.box.scrollTop;
      if (this.isBusy || this.isFollowing) return;
      if (this.box.scrollTop < NEAR && this.older) this.more("before");
      else if (fromEnd < NEAR && this.newer) this.more("after");
    }

    follow(is) {
      this.isFollowing = is;
      this.tell();
    }

    toBottom() {
      this.box.scrollTop = this.box.scrollHeight;
      this.lastTop = this.box.scrollTop;
    }

    /* The number of the first or the last line in sight: a search goes on from there. */
    edgeInSight(way) {
      const box = this.box.getBoundingClientRect();
      const lines = [...this.list.children].filter((line) => {
        const { top, bottom } = line.getBoundingClientRect();
        return bottom > box.top && top < box.bottom;
      });
      return way === "after" ? this.number(lines[0]) - 1 : this.number(lines.at(-1)) + 1;
    }

    async toEnd() {
      if (this.folds.is) await this.fold(false);
      if (this.newer) await this.replace({});
      this.follow(true);
      this.toBottom();
      this.hits.grown();
    }

    /* Bring a line into sight, wherever it is in the log. */
    async show(number) {
      this.follow(false);
      if (this.folds.is) await this.fold(false);
      this.follow(false);
      if (!document.getElementById(`L${number}`)) await this.replace({ around: number });
      this.bring(document.getElementById(`L${number}`));
    }

    /* Lines take their height when they are drawn: what was brought into sight may have been pushed out of it. */
    bring(line, again = 2) {
      line?.scrollIntoView({ block: "center" });
      this.lastTop = this.box.scrollTop;
      if (line && again) requestAnimationFrame(() => this.bring(line, again - 1));
    }

    chooseLine(event) {
      const number = event.target.closest(".kc-log-number");
      if (!number) return;
      event.preventDefault();
      history.replaceState(history.state, "", number.hash);
      this.follow(false);
      this.mark();
    }

    async toLine() {
      if (!/^#L\d+$/.test(location.hash)) return;
      await this.show(location.hash.slice(2));
      this.mark();
    }

    mark() {
      this.root.querySelector(".kc-chosen")?.classList.remove("kc-chosen");
      const line = document.getElementById(location.hash.slice(1));
      line?.classList.add("kc-chosen");
      this.bring(line);
    }

    async toError() {
      for (const name of FIELDS) this.form.elements[name].value = "";
      this.sought = "";
      if (this.folds.is) await this.fold(false);
      this.hits.reset();
      if (await this.replace({ error: "1" })) this.showError(await this.seekError());
    }

    /* A part of a long log at a time, until there is one or the log ends. */
    async seekError() {
      while (!this.list.childElementCount && this.newer) {
        if (!(await this.replace({ error: "1", after: this.last }))) return false;
      }
      return true;
    }

    showError(isSought) {
      if (!isSought) return;
      const line = this.list.querySelector(".kc-level-error, .kc-level-critical");
      if (!line) {
        this.toBottom();
        this.note.textContent = "There is no line of level error in this log.";
        return;
      }
      history.replaceState(history.state, "", `${this.root.dataset.url}#${line.id}`);
      this.follow(false);
      this.mark();
    }

    keepAddress() {
      const chosen = this.wanted();
      if (this.folds.is) chosen.set("folded", "1");
      history.replaceState(history.state, "", `${this.root.dataset.url}${chosen.size ? `?${chosen}` : ""}`);
    }

    async filter() {
      this.sought = this.form.elements.text.value;
      this.keepAddress();
      this.hits.reset();
      if (this.folds.is) {
        this.folds.show(true);
        return;
      }
      if (!(await this.replace({}))) return;
      this.follow(true);
      this.toBottom();
      this.hits.grown();
      this.fillUp();
    }

    tell() {
      this.button.setAttribute("aria-pressed", String(this.isFollowing));
      this.button.textContent = this.isFollowing ? (this.final ? "At the end" : "Following") : this.final ? "To the end" : "Follow";
      this.button.hidden = this.folds.is;
      this.top.hidden = !this.older || this.folds.is;
      const isEmpty = !this.list.childElementCount && !this.folds.is;
      this.note.textContent = this.trouble || (isEmpty ? this.nothing() : "");
    }

    nothing() {
      if (this.older) return "No line matches so far.";
      if (this.seeks || this.form.elements.node.value) return "No line matches.";
      return this.final ? "This run wrote nothing." : "Nothing was written yet; lines appear here as they come.";
    }
  }

  function begin() {
    for (const root of document.querySelectorAll("[data-logs]:not([data-begun])")) {
      root.dataset.begun = "yes";
      new Log(root);
    }
  }
  document.addEventListener("DOMContentLoaded", begin);
  document.addEventListener("console:changed", begin);
})();

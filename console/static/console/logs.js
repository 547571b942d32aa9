/* The log of a run: older lines come as one scrolls up, new ones follow until one scrolls away; the page stays small. */
(() => {
  "use strict";

  const MOST = 3000;
  const PAUSE = 1000;
  const LEAST = 280; // pixels
  const BELOW = 16;

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
      this.takeEdge((edge) => Object.assign(this, edge), { first: 0, last: 0, older: false, newer: false, final: false });
      this.listen();
      this.begin();
    }

    takeEdge(use, otherwise) {
      const mark = this.list.querySelector("[data-edge]");
      const { first, last, older, newer, final } = mark ? mark.dataset : {};
      mark?.remove();
      use(mark ? { first: Number(first), last: Number(last), older: !!older, newer: !!newer, final: !!final } : otherwise);
    }

    listen() {
      this.box.addEventListener("scroll", () => this.scrolled(), { passive: true });
      this.button.addEventListener("click", () => (this.isFollowing ? this.follow(false) : this.toEnd()));
      this.form.addEventListener("submit", (event) => { event.preventDefault(); this.filter(); });
      this.form.addEventListener("change", (event) => { if (event.target.nodeName === "SELECT") this.filter(); });
      this.form.querySelector("[name=text]").addEventListener("input", () => {
        clearTimeout(this.typing);
        this.typing = setTimeout(() => this.filter(), 300);
      });
      this.root.querySelector("[data-logs-error]").addEventListener("click", (event) => {
        event.preventDefault();
        this.toError();
      });
      this.list.addEventListener("click", (event) => {
        const number = event.target.closest(".kc-log-number");
        if (!number) return;
        event.preventDefault();
        history.replaceState(null, "", number.hash);
        this.follow(false);
        this.mark();
      });
      this.root.querySelector("[data-logs-wrap]").addEventListener("click", (event) => this.wrap(event.currentTarget));
      this.root.querySelector("[data-logs-whole]").addEventListener("click", () => this.fill(!this.isWhole));
      document.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || !this.isWhole || !this.root.isConnected) return;
        event.stopImmediatePropagation();
        this.fill(false);
      }, true);
      window.addEventListener("hashchange", () => this.toLine());
      new ResizeObserver(() => this.fit()).observe(this.root.closest("main") || this.root);
      new ResizeObserver(() => this.isFollowing && this.toBottom()).observe(this.list); // a line has its height when it is shown
      window.addEventListener("resize", () => this.fit());
    }

    /* The box ends where the window does: its last line is in sight. */
    fit() {
      const top = this.box.getBoundingClientRect().top + (this.isWhole ? 0 : window.scrollY);
      const height = `${Math.max(LEAST, Math.floor(window.innerHeight - top - BELOW))}px`;
      if (this.box.style.height === height) return;
      this.box.style.height = height;
      if (this.isFollowing) this.toBottom();
    }

    /* Long lines go on below, or to the right. */
    wrap(button) {
      const is = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(is));
      this.list.classList.toggle("is-long", !is);
      if (this.isFollowing) this.toBottom();
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

    async begin() {
      this.fit();
      if (new URLSearchParams(location.search).has("error")) this.showError();
      else if (/^#L\d+$/.test(location.hash)) await this.toLine();
      else {
        this.toBottom();
        this.box.scrollIntoView({ block: "nearest" });
      }
      this.tell();
      this.tick();
    }

    async tick() {
      if (!this.root.isConnected) return;
      const isAtBound = this.list.childElementCount >= MOST && !this.isFollowing;
      if (!document.hidden && !this.isBusy && !isAtBound && (this.newer || !this.final)) await this.more("after");
      setTimeout(() => this.tick(), this.newer && !isAtBound ? 50 : PAUSE);
    }

    query(extra) {
      const wanted = new URLSearchParams({ lines: "1", ...extra });
      for (const name of ["node", "level", "text"]) if (this.form.elements[name].value) wanted.set(name, this.form.elements[name].value);
      return `${this.root.dataset.url}?${wanted}`;
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
      const lines = await this.fetch(way === "after" ? { after: this.last } : { before: this.first });
      if (lines) {
        const edge = lines.querySelector("[data-edge]").dataset;
        const height = this.box.scrollHeight;
        if (way === "after") this.append(lines, edge);
        else this.prepend(lines, edge, height);
      }
      this.tell();
    }

    append(lines, edge) {
      lines.querySelector("[data-edge]").remove();
      this.list.append(lines);
      Object.assign(this, { last: Number(edge.last), newer: !!edge.newer, final: !!edge.final });
      if (this.isFollowing) {
        while (this.list.childElementCount > MOST) this.list.firstElementChild.remove();
        this.older ||= this.list.childElementCount >= MOST;
        if (this.list.firstElementChild && this.list.childElementCount >= MOST) this.first = this.number(this.list.firstElementChild);
        this.toBottom();
      }
    }

    prepend(lines, edge, height) {
      lines.querySelector("[data-edge]").remove();
      this.list.prepend(lines);
      Object.assign(this, { first: Number(edge.first), older: !!edge.older });
      this.box.scrollTop += this.box.scrollHeight - height;
      while (this.list.childElementCount > MOST) {
        this.list.lastElementChild.remove();
        this.newer = true;
      }
      if (this.newer && this.list.lastElementChild) this.last = this.number(this.list.lastElementChild);
    }

    number(line) {
      return Number(line.id.slice(1));
    }

    async replace(extra) {
      const lines = await this.fetch(extra);
      if (lines) {
        this.list.replaceChildren(lines);
        this.takeEdge((edge) => Object.assign(this, edge));
      }
      this.tell();
      return Boolean(lines);
    }

    scrolled() {
      const fromEnd = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight;
      if (fromEnd > 60 && this.isFollowing && this.box.scrollTop < this.lastTop) this.follow(false);
      else if (fromEnd < 4 && !this.newer && !this.isFollowing) this.follow(true);
      this.lastTop = this.box.scrollTop;
      if (this.box.scrollTop < 200 && this.older && !this.isBusy && !this.isFollowing) this.more("before");
    }

    follow(is) {
      this.isFollowing = is;
      this.tell();
    }

    toBottom() {
      this.box.scrollTop = this.box.scrollHeight;
      this.lastTop = this.box.scrollTop;
    }

    async toEnd() {
      if (this.newer) await this.replace({});
      this.follow(true);
      this.toBottom();
    }

    async toLine() {
      const number = location.hash.slice(2);
      if (!/^#L\d+$/.test(location.hash)) return;
      if (!document.getElementById(`L${number}`)) await this.replace({ around: number });
      this.follow(false);
      this.mark();
    }

    mark() {
      this.list.querySelector(".kc-chosen")?.classList.remove("kc-chosen");
      const line = document.getElementById(location.hash.slice(1));
      line?.classList.add("kc-chosen");
      line?.scrollIntoView({ block: "center" });
    }

    async toError() {
      for (const name of ["node", "level", "text"]) this.form.elements[name].value = "";
      if (await this.replace({ error: "1" })) this.showError();
    }

    showError() {
      const line = this.list.querySelector(".kc-level-error, .kc-level-critical");
      if (!line) {
        this.toBottom();
        this.note.textContent = "There is no line of level error in this log.";
        return;
      }
      history.replaceState(null, "", `${this.root.dataset.url}#${line.id}`);
      this.follow(false);
      this.mark();
    }

    async filter() {
      const chosen = new URLSearchParams();
      for (const name of ["node", "level", "text"]) if (this.form.elements[name].value) chosen.set(name, this.form.elements[name].value);
      history.replaceState(null, "", `${this.root.dataset.url}${chosen.size ? `?${chosen}` : ""}`);
      await this.replace({});
      this.follow(true);
      this.toBottom();
    }

    tell() {
      this.button.setAttribute("aria-pressed", String(this.isFollowing));
      this.button.textContent = this.isFollowing ? (this.final ? "At the end" : "Following") : this.final ? "To the end" : "Follow";
      this.top.hidden = !this.older;
      const isEmpty = !this.list.childElementCount;
      const nothing = this.form.elements.text.value || this.form.elements.level.value || this.form.elements.node.value;
      const empty = nothing ? "No line matches." : this.final ? "This run wrote nothing." : "Nothing was written yet; lines appear here as they come.";
      this.note.textContent = this.trouble || (isEmpty ? empty : "");
    }
  }

  function begin() {
    for (const root of document.querySelectorAll("[data-logs]:not([data-begun])")) {
      root.dataset.begun = "yes";
      new Log(root);
    }
  }
  document.addEventListener("DOMContentLoaded", begin);
})();

/* A log folded by node: how many lines, hits and errors each has; what is opened shows its lines. */
(() => {
  "use strict";

  const PAUSE = 30;
  const say = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

  class Folds {
    constructor(log) {
      this.log = log;
      this.url = log.root.dataset.countsUrl;
      this.list = log.root.querySelector("[data-logs-folds]");
      this.button = log.root.querySelector("[data-logs-fold]");
      this.button.addEventListener("click", () => log.fold(!this.is));
      this.list.addEventListener("click", (event) => this.clicked(event));
      this.search = 0;
    }

    get is() {
      return this.button.getAttribute("aria-pressed") === "true";
    }

    clicked(event) {
      const section = event.target.closest("[data-node]");
      if (event.target.closest("[data-log-more]")) this.more(section);
      else if (event.target.closest("button[aria-expanded]")) this.open(section);
      else this.log.chooseLine(event);
    }

    show(is) {
      this.button.setAttribute("aria-pressed", String(is));
      this.list.hidden = !is;
      this.search += 1;
      this.counts = new Map();
      this.counted = 0;
      this.isDone = this.isCounting = false;
      for (const section of this.list.children) this.close(section);
      if (is) this.count();
    }

    async count() {
      const search = this.search;
      if (this.isCounting) return;
      this.isCounting = true;
      try {
        do {
          const found = await this.ask(search);
          if (!found) return;
          for (const [node, count] of Object.entries(found.nodes)) this.add(node, count);
          Object.assign(this, { counted: found.last, isDone: !found.has_more });
          for (const section of this.list.children) this.tell(section);
          await new Promise((resolve) => { setTimeout(resolve, PAUSE); });
        } while (!this.isDone && search === this.search);
      } catch { /* the next second asks again */
      } finally {
        if (search === this.search) this.isCounting = false;
      }
    }

    async ask(search) {
      const asked = this.log.query({ after: this.counted, node: "" }, this.url);
      const answer = await fetch(asked, { credentials: "same-origin" });
      const found = answer.ok ? await answer.json() : null;
      return search === this.search && this.log.root.isConnected ? found : null;
    }

    add(node, more) {
      const known = this.counts.get(node) || { lines: 0, hits: 0, errors: 0 };
      for (const name of Object.keys(known)) known[name] += more[name];
      this.counts.set(node, known);
      if (![...this.list.children].some((section) => section.dataset.node === node)) this.addSection(node);
    }

    /* A node that began after the page was made. */
    addSection(node) {
      const last = this.list.lastElementChild;
      const section = last.cloneNode(true);
      section.dataset.node = section.querySelector("b").textContent = node;
      this.close(section);
      last.before(section);
    }

    tell(section) {
      const { lines, hits, errors } = this.counts.get(section.dataset.node) || { lines: 0, hits: 0, errors: 0 };
      const parts = [`${say(lines, "line")}${this.isDone ? "" : "…"}`];
      if (this.log.seeks) parts.push(say(hits, "hit"));
      if (errors) parts.push(say(errors, "error"));
      section.querySelector("[data-log-count]").textContent = parts.join(" · ");
      section.classList.toggle("is-bare", this.isDone && !(this.log.seeks ? hits : lines));
    }

    close(section) {
      section.querySelector("button[aria-expanded]").setAttribute("aria-expanded", "false");
      section.querySelector("ol").replaceChildren();
      section.querySelector("p").hidden = true;
      Object.assign(section.dataset, { last: "0", isEnded: "" });
    }

    open(section) {
      const button = section.querySelector("button[aria-expanded]");
      if (button.getAttribute("aria-expanded") === "true") {
        this.close(section);
        return;
      }
      button.setAttribute("aria-expanded", "true");
      this.more(section);
    }

    async more(section) {
      const node = section.dataset.node;
      const search = this.search;
      const asked = { after: section.dataset.last, node, ...(node ? {} : { outside: "1" }) };
      const lines = await this.log.fetch(asked);
      const isOpen = section.querySelector("button").getAttribute("aria-expanded") === "true";
      if (!lines || search !== this.search || !isOpen || section.dataset.last !== asked.after) return;
      const edge = this.log.cut(lines);
      section.querySelector("ol").append(lines);
      section.dataset.last = String(edge.last);
      section.querySelector("p").hidden = !edge.newer;
      this.log.final = edge.final;
    }

    /* Each second while the run goes on. */
    async tick() {
      if (this.isDone) await this.count();
      for (const section of this.list.children) {
        const isOpen = section.querySelector("button").getAttribute("aria-expanded") === "true";
        if (isOpen && section.querySelector("p").hidden) await this.more(section);
      }
    }
  }

  window.consoleLog = { ...window.consoleLog, Folds };
})();

/* The hits of a search in a log: how many there are, which one is looked at, and the way to the next. */
(() => {
  "use strict";

  const MOST = 10000; // counted; beyond it the page says that there are more
  const PAUSE = 30;

  /* The place in ascending numbers of the first that is greater than this one. */
  function placeAfter(numbers, number) {
    let [low, high] = [0, numbers.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (numbers[middle] > number) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  class Hits {
    constructor(log) {
      this.log = log;
      this.url = log.root.dataset.hitsUrl;
      this.group = log.root.querySelector("[data-logs-hits]");
      this.output = log.root.querySelector("[data-logs-count]");
      this.group.addEventListener("click", (event) => {
        const button = event.target.closest("[data-logs-go]");
        if (button) this.go(button.dataset.logsGo);
      });
      document.addEventListener("keydown", (event) => this.press(event));
      this.search = 0;
      this.reset();
    }

    press(event) {
      if (!this.log.root.isConnected || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (!this.log.seeks || event.key.toLowerCase() !== "n" || document.querySelector("dialog[open]")) return;
      if (["INPUT", "TEXTAREA", "SELECT"].includes(event.target.nodeName) && event.target.type !== "checkbox") return;
      event.preventDefault();
      this.go(event.key === "N" ? "before" : "after");
    }

    reset() {
      Object.assign(this, { numbers: [], counted: 0, isDone: false, current: 0, isCounting: false });
      this.search += 1;
      this.group.hidden = !this.log.seeks;
      const spilled = this.log.root.querySelector("[data-logs-spilled]");
      if (spilled) spilled.hidden = !this.log.seeks;
      this.tell();
      if (this.log.seeks) this.count();
    }

    get isCut() {
      return this.numbers.length >= MOST && !this.isDone;
    }

    async ask(extra) {
      const answer = await fetch(this.log.query(extra, this.url), { credentials: "same-origin" });
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      return answer.json();
    }

    /* Count on where it stopped, a part of the log at a time. */
    async count() {
      const search = this.search;
      if (this.isCounting || this.isCut) return;
      this.isCounting = true;
      this.isDone = false;
      try {
        while (!this.isDone && !this.isCut) {
          const found = await this.ask({ after: this.counted });
          if (search !== this.search || !this.log.root.isConnected) return;
          this.numbers.push(...found.hits);
          this.counted = Math.max(this.counted, found.last);
          this.isDone = !found.has_more;
          this.tell();
          await new Promise((resolve) => { setTimeout(resolve, PAUSE); });
        }
      } catch { /* the log itself says that the server cannot be reached; the next lines count on */
      } finally {
        if (search === this.search) this.isCounting = false;
      }
    }

    /* New lines came: whoever follows looks at the newest hit. */
    grown() {
      if (!this.log.seeks) return;
      if (this.log.isFollowing) this.choose(this.log.number([...this.log.list.querySelectorAll(".is-hit")].at(-1)));
      if (this.isDone && this.log.last > this.counted) this.count();
      this.tell();
    }

    choose(number) {
      this.current = number || 0;
      this.log.list.querySelector(".is-current")?.classList.remove("is-current");
      if (number) document.getElementById(`L${number}`)?.classList.add("is-current");
      this.tell();
    }

    tell() {
      const many = this.numbers.length;
      const place = this.current && this.current <= this.counted ? placeAfter(this.numbers, this.current) : 0;
      const total = this.isCut ? `more than ${MOST.toLocaleString("en")}` : `${many.toLocaleString("en")}${this.isDone ? "" : "…"}`;
      const noun = many === 1 && this.isDone ? "hit" : "hits";
      if (!many) this.output.textContent = this.isDone ? "No hits" : "Searching…";
      else this.output.textContent = place ? `${place.toLocaleString("en")} of ${total}` : `${total} ${noun}`;
      for (const button of this.group.querySelectorAll("button")) button.disabled = this.isDone && !many;
    }

    /* The nearest hit on that side of a line, 0 when there is none. */
    async neighbour(number, way) {
      if (way === "after") {
        const place = placeAfter(this.numbers, number);
        if (place < this.numbers.length) return this.numbers[place];
        return this.isDone ? 0 : this.look({ after: number }, (page) => ({ after: page.last }), 0);
      }
      if (number - 1 <= this.counted || this.isDone) return this.numbers[placeAfter(this.numbers, number - 1) - 1] || 0;
      return this.look({ before: number }, (page) => ({ before: page.first }), -1);
    }

    /* Ask on, beyond what was counted, until a hit comes. */
    async look(from, next, which) {
      for (let asked = from; ;) {
        const page = await this.ask(asked);
        if (page.hits.length) return page.hits.at(which);
        if (!page.has_more) return 0;
        asked = next(page);
      }
    }

    async go(way) {
      const search = this.search;
      const shown = this.current || this.log.edgeInSight(way);
      try {
        const beyond = way === "after" ? 0 : Number.MAX_SAFE_INTEGER;
        const number = (await this.neighbour(shown, way)) || (await this.neighbour(beyond, way));
        if (!number || search !== this.search) return;
        await this.log.show(number);
        this.choose(number);
      } catch (error) {
        this.output.textContent = `Not found: ${error.message}`;
      }
    }
  }

  window.consoleLog = { ...window.consoleLog, Hits };
})();

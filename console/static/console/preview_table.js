/* Sort and filter the rows of a table preview. */
(() => {
  "use strict";
  const table = document.querySelector("[data-table]");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const text = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

  function compare(kind, one, other) {
    if (!one || !other) return (one ? -1 : 0) + (other ? 1 : 0);
    return kind === "number" ? Number(one) - Number(other) : text.compare(one, other);
  }

  function sort(button) {
    const heading = button.closest("th");
    const place = heading.cellIndex;
    const isUp = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of heading.parentElement.cells) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", isUp ? "ascending" : "descending");
    const value = (row) => row.cells[place].textContent.trim();
    const sign = isUp ? 1 : -1;
    const sorted = [...rows].sort((one, other) => {
      const [left, right] = [value(one), value(other)];
      return left && right ? sign * compare(button.dataset.sort, left, right) : compare("text", left, right);
    });
    body.append(...sorted);
  }

  function filter(event) {
    const wanted = event.target.value.toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      shown += !row.hidden;
    }
    document.querySelector("[data-table-none]").hidden = shown > 0;
  }

  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("[data-sort]");
    if (button) sort(button);
  });
  document.querySelector("[data-table-filter]").addEventListener("input", filter);
})();

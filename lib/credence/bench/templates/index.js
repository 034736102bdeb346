"use strict";
(() => {
  const body = document.querySelector("#claims-board tbody");
  const rows = [...body.rows];
  const field = (name) => document.getElementById("filter-" + name);
  const [text, paper, verdict, kind] = ["text", "paper", "verdict", "kind"].map(field);
  const tiles = [...document.querySelectorAll(".tally button")];

  function filter() {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const data = row.dataset;
      row.hidden = !(words.every((word) => data.words.includes(word)) && (!paper.value || data.paper === paper.value) &&
        (!verdict.value || data.verdict === verdict.value) && (!kind.value || data.kind === kind.value));
      shown += !row.hidden;
    }
    field("count").textContent = (shown === rows.length ? "" : shown + " of ") + rows.length + " claims";
    for (const tile of tiles) tile.setAttribute("aria-pressed", String(tile.dataset.verdict === verdict.value));
  }
  for (const input of [text, paper, verdict, kind]) input.addEventListener("input", filter);
  for (const tile of tiles) {
    tile.addEventListener("click", () => {
      verdict.value = verdict.value === tile.dataset.verdict ? "" : tile.dataset.verdict;
      filter();
    });
  }

  const numeric = new Set(["rank", "p", "ours"]);
  for (const head of document.querySelectorAll("#claims-board th[data-sort]")) {
    head.firstElementChild.addEventListener("click", () => {
      const key = head.dataset.sort, down = head.getAttribute("aria-sort") === "ascending";
      for (const other of document.querySelectorAll("#claims-board th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => (numeric.has(key) ? (row.dataset[key] === "" ? NaN : Number(row.dataset[key])) : row.dataset[key]);
      rows.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (numeric.has(key)) {
          if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y); // unknown values last either way
          return down ? y - x : x - y;
        }
        return down ? y.localeCompare(x) : x.localeCompare(y);
      });
      body.append(...rows);
    });
  }
  filter(); // a browser may restore what was chosen before
})();

// The calendar with the keyboard: one stop for Tab, arrow keys from cell to cell.
(function () {
  "use strict";
  const table = document.querySelector(".job-grid");
  if (!table) return;
  const rows = [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll("td")].map(
    (cell) => cell.querySelector("a, input")));
  const all = rows.flat().filter(Boolean);
  if (!all.length) return;

  const STEPS = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]};

  function place(element) {
    for (let y = 0; y < rows.length; y += 1) {
      const x = rows[y].indexOf(element);
      if (x >= 0) return [y, x];
    }
    return null;
  }

  function make_stop(element) {
    for (const other of all) other.tabIndex = other === element ? 0 : -1;
  }

  function neighbour(element, step) {
    let [y, x] = place(element);
    for (;;) {
      y += step[0];
      x += step[1];
      if (!rows[y] || x < 0 || x >= rows[y].length) return null;
      if (rows[y][x]) return rows[y][x];
    }
  }

  make_stop(all[all.length - 1]);
  table.addEventListener("focusin", function (event) {
    if (all.includes(event.target)) make_stop(event.target);
  });
  table.addEventListener("keydown", function (event) {
    const step = STEPS[event.key];
    if (!step || !all.includes(event.target)) return;
    const next = neighbour(event.target, step);
    if (next) {
      next.focus();
      event.preventDefault();
    }
  });
})();

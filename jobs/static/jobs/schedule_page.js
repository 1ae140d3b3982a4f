// A schedule's page: the calendar by keyboard, cells marked by range, and news while something lives.
(function () {
  "use strict";
  const AGAIN_MS = 5000;
  const STEPS = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]};
  let rows = [];
  let all = [];
  let last = null;

  // --- The keyboard: one stop for Tab, arrow keys from cell to cell ---

  function makeStop(element) {
    for (const other of all) other.tabIndex = other === element ? 0 : -1;
  }

  function neighbour(element, step) {
    let y = rows.findIndex((row) => row.includes(element));
    let x = rows[y].indexOf(element);
    for (;;) {
      y += step[0];
      x += step[1];
      if (!rows[y] || x < 0 || x >= rows[y].length) return null;
      if (rows[y][x]) return rows[y][x];
    }
  }

  // --- Marks: a click with Shift marks all from the one before, in the order of time ---

  function boxes() {
    return all.filter((element) => element.type === "checkbox").sort(
      (one, other) => Date.parse(one.value.split("/")[0]) - Date.parse(other.value.split("/")[0]));
  }

  function count() {
    const marked = boxes().filter((box) => box.checked).length;
    const note = document.getElementById("marked-count");
    const button = document.getElementById("backfill-marked");
    if (note) note.textContent = marked ? marked + (marked === 1 ? " cell" : " cells") + " marked" : "";
    if (button) button.disabled = !marked;
  }

  function markTo(box) {
    const ordered = boxes();
    const ends = [ordered.indexOf(last), ordered.indexOf(box)].sort((one, other) => one - other);
    if (ends[0] < 0) return;
    for (const other of ordered.slice(ends[0], ends[1] + 1)) other.checked = box.checked;
  }

  function begin() {
    const table = document.querySelector(".job-grid");
    if (!table) return;
    rows = [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll("td")].map(
      (cell) => cell.querySelector("a, input")));
    all = rows.flat().filter(Boolean);
    last = null;
    if (all.length) makeStop(all[all.length - 1]);
    const markAll = document.getElementById("mark-all");
    if (markAll) {
      markAll.hidden = !boxes().length;
      markAll.addEventListener("click", function () {
        const isOn = boxes().some((box) => !box.checked);
        for (const box of boxes()) box.checked = isOn;
        count();
      });
    }
    table.addEventListener("focusin", function (event) {
      if (all.includes(event.target)) makeStop(event.target);
    });
    table.addEventListener("keydown", function (event) {
      const step = STEPS[event.key];
      if (!step || !all.includes(event.target)) return;
      const next = neighbour(event.target, step);
      if (next) next.focus();
      event.preventDefault();
    });
    table.addEventListener("click", function (event) {
      if (event.target.type !== "checkbox") return;
      if (event.shiftKey && last) markTo(event.target);
      last = event.target;
      count();
    });
    count();
  }

  // --- News: while a run or a backfill lives, and nobody is in the middle of something ---

  function isBusy() {
    const held = document.activeElement;
    return boxes().some((box) => box.checked) || (held && held.closest("#calendar, #backfills"));
  }

  async function refresh() {
    if (!document.hidden && !isBusy()) {
      const answer = await fetch(location.href, {credentials: "same-origin", redirect: "error"})
        .catch(() => null);
      if (answer && answer.ok && !isBusy()) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const id of ["calendar", "backfills", "moments"]) {
          const [old, fresh] = [document.getElementById(id), page.getElementById(id)];
          if (old && fresh) old.replaceWith(document.adoptNode(fresh));
        }
        begin();
      }
    }
    plan();
  }

  function plan() {
    if (document.querySelector("[data-living]")) window.setTimeout(refresh, AGAIN_MS);
  }

  begin();
  plan();
})();

// Refreshes a job's page while the job lives; rests while nobody looks.
(function () {
  "use strict";
  const box = document.getElementById("job-live");
  const note = document.getElementById("job-live-note");

  // Of a wide workflow the part around this job.
  const here = box && box.querySelector(".job-node-here");
  if (here) {
    const panel = here.closest(".job-scroll");
    panel.scrollLeft += here.getBoundingClientRect().left - panel.getBoundingClientRect().left -
      panel.clientWidth / 2;
  }
  if (!box || !("living" in box.dataset)) return;

  const QUICK_MS = 1000, SLOW_MS = 5000, QUICK_ROUNDS = 120;
  let rounds = 0;
  let timer = null;

  function openDetails() {
    return new Set([...box.querySelectorAll("details[id][open]")].map((element) => element.id));
  }

  function scrolled() {
    return [...box.querySelectorAll(".job-scroll")].map((element) => element.scrollLeft);
  }

  function show(html) {
    const open = openDetails(), lefts = scrolled();
    box.innerHTML = html;
    box.querySelectorAll(".job-scroll").forEach((element, number) => {
      element.scrollLeft = lefts[number] || 0;
    });
    for (const id of open) {
      const element = document.getElementById(id);
      if (element) element.open = true;
    }
  }

  function isBusy() {
    // Somebody is marking text to copy, or about to press a button.
    const selection = window.getSelection();
    return (selection && !selection.isCollapsed && box.contains(selection.anchorNode)) ||
      (box.contains(document.activeElement) && document.activeElement !== document.body);
  }

  async function refresh() {
    timer = null;
    if (document.hidden) return;
    try {
      const answer = await fetch(box.dataset.url, {credentials: "same-origin", redirect: "error"});
      if (answer.status === 403 || answer.status === 404) {
        note.textContent = "This page is no longer refreshed: reload it.";
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const story = await answer.json();
      note.textContent = "";
      if (!isBusy() || !story.is_living) show(story.html);
      if (!story.is_living) return;
    } catch (error) {
      note.textContent = "The server does not answer; trying again.";
    }
    plan();
  }

  function plan() {
    rounds += 1;
    timer = window.setTimeout(refresh, rounds < QUICK_ROUNDS ? QUICK_MS : SLOW_MS);
  }

  document.addEventListener("visibilitychange", function () {
    if (!document.hidden && timer === null) refresh();
  });
  plan();
})();

// A schedule's form: what is typed is read by the server, which tells the next moments and faults.
(function () {
  "use strict";
  const form = document.querySelector(".job-schedule-form");
  if (!form) return;
  const WAIT_MS = 300;
  const READ = ["cron", "every", "timezone", "start_at", "end_at", "overlap", "catch_up", "jitter", "enabled", "queue"];
  const box = document.getElementById("schedule-preview");
  const token = form.elements.csrfmiddlewaretoken.value;
  let timer = null;
  let asked = 0;

  function typed() {
    const all = new FormData(form);
    const body = new URLSearchParams();
    for (const name of READ) if (all.has(name)) body.append(name, all.get(name));
    return body;
  }

  function tell(faults) {
    for (const name of READ) {
      const place = document.getElementById("fault-" + name);
      if (place) place.textContent = faults[name] || "";
    }
  }

  async function look() {
    const turn = ++asked;
    const answer = await fetch(form.dataset.preview, {
      method: "POST", credentials: "same-origin", redirect: "error", body: typed(),
      headers: {"X-CSRFToken": token},
    }).catch(() => null);
    if (turn !== asked || !answer || !answer.ok) return;
    const found = await answer.json();
    if (turn !== asked) return;
    box.innerHTML = found.html;
    tell(found.faults);
  }

  form.addEventListener("input", function (event) {
    if (!READ.includes(event.target.name)) return;
    window.clearTimeout(timer);
    timer = window.setTimeout(look, WAIT_MS);
  });

  const job = form.elements.job;
  const params = document.getElementById("schedule-params");
  form.querySelector(".job-choose").hidden = true;
  job.addEventListener("change", async function () {
    const query = new URLSearchParams({job: job.value, schedule: form.dataset.schedule || ""});
    const answer = await fetch(form.dataset.params + "?" + query, {
      credentials: "same-origin", redirect: "error",
    }).catch(() => null);
    if (answer && answer.ok) params.innerHTML = await answer.text();
  });
})();

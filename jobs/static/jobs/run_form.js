// A second click would run the job twice.
(function () {
  "use strict";
  const form = document.getElementById("run-form");
  if (!form) return;
  let isSent = false;
  form.addEventListener("submit", function (event) {
    if (isSent) event.preventDefault();
    isSent = true;
  });
  window.addEventListener("pageshow", function () { isSent = false; });
})();

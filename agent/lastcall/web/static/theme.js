// Runs before the first paint, so that a chosen theme never flashes. Without a choice the system's holds.
(function () {
  "use strict";
  var chosen = null;
  try { chosen = localStorage.getItem("lastcall-theme"); } catch (error) { /* storage may be forbidden */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  document.documentElement.classList.add("js");
})();

// Keeps the page current without a reload: asks whether the board has changed, fetches this very page, and
// changes only what differs. Open stacks, the focus, the scroll position and what is being typed stay.
(function () {
  "use strict";
  const EVERY = 2000;
  const root = document.documentElement;
  let shown = root.dataset.version;
  let latest = 0;

  const keep = {
    beforeAttributeUpdated(name, node, how) {
      if (name === "open" && node.tagName === "DETAILS") return false;
      return !(name === "value" && node === document.activeElement);
    },
    beforeNodeMorphed(node, fresh) {
      // A chart's canvas is not in the text: only its data is taken over.
      if (node.dataset && node.dataset.chart !== undefined && fresh.dataset) {
        if (node.dataset.chart !== fresh.dataset.chart) node.dataset.chart = fresh.dataset.chart;
        node.setAttribute("aria-label", fresh.getAttribute("aria-label") || "");
        return false;
      }
      return true;
    },
  };

  async function show(address, push) {
    const turn = ++latest;
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (turn !== latest || !page.getElementById("main")) return;  // overtaken by a later key
    if (push) history[push](null, "", address);
    for (const id of ["main", "foot"]) {
      Idiomorph.morph(document.getElementById(id), page.getElementById(id), { ignoreActiveValue: true, callbacks: keep });
    }
    document.title = page.title;
    shown = page.documentElement.dataset.version;
    root.dataset.version = shown;
    status("live");
    window.lastcallCharts.draw(false);
    ages();
  }

  function status(state) {
    const dot = document.getElementById("pulse");
    if (dot.dataset.state === state) return;
    dot.dataset.state = state;
    document.getElementById("pulse-text").textContent = state === "live" ? "Live" : "Connection lost; trying again";
  }

  async function look() {
    if (document.hidden) return;
    try {
      const answer = await fetch("/version", { cache: "no-cache" });
      const now = (await answer.json()).version;
      status("live");
      if (now !== shown) await show(location.href);
    } catch (error) { status("lost"); }
  }

  // The same words as the server's, moved on by this machine's clock.
  const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];
  function ages() {
    const now = Date.now() / 1000;
    for (const node of document.querySelectorAll("time[data-ago]")) {
      const passed = now - Date.parse(node.dateTime) / 1000;
      if (passed > 60 * 86400 || passed < -60) continue;
      const unit = UNITS.find(([, length]) => passed >= 2 * length);
      const text = passed < 2 ? "just now" : unit ? Math.floor(passed / unit[1]) + " " + unit[0] + "s ago" : Math.floor(passed) + " seconds ago";
      if (node.textContent !== text) node.textContent = text;
    }
  }

  function address(form) {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) query.set(name, value);
    return form.getAttribute("action") + "?" + query;
  }

  let timer;
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-live]");
    if (!form) return;
    clearTimeout(timer);
    timer = setTimeout(() => show(address(form), "replaceState").catch(() => status("lost")), event.target.type === "search" ? 120 : 0);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-live]");
    if (!form) return;
    event.preventDefault();
    clearTimeout(timer);
    show(address(form), "replaceState").catch(() => status("lost"));
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-swap]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    show(link.href, "pushState").then(() => { if (link.closest(".pager")) window.scrollTo(0, 0); }, () => { location.href = link.href; });
  });
  window.addEventListener("popstate", () => show(location.href).catch(() => location.reload()));

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const field = document.getElementById("q");
    if (field) { event.preventDefault(); field.focus(); field.select(); }
  });

  const themes = { automatic: "light", light: "dark", dark: "automatic" };
  const button = document.getElementById("theme");
  function label() { button.setAttribute("aria-label", "Theme: " + (root.dataset.theme || "automatic")); }
  button.hidden = false;
  label();
  button.addEventListener("click", () => {
    const next = themes[root.dataset.theme || "automatic"];
    if (next === "automatic") delete root.dataset.theme; else root.dataset.theme = next;
    try { if (next === "automatic") localStorage.removeItem("lastcall-theme"); else localStorage.setItem("lastcall-theme", next); } catch (error) { /* then it holds for this page */ }
    label();
    window.lastcallCharts.draw(true);
  });

  setInterval(look, EVERY);
  setInterval(ages, 10000);
  document.addEventListener("visibilitychange", look);
})();

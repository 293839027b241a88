// Draws what stands in `data-chart`; called again whenever the page, its size or the theme has changed.
(function () {
  "use strict";
  const drawn = new WeakMap();
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const date = (x) => new Date(x * 1000).toISOString().slice(0, 10);
  const count = (y) => (y == null ? "not observed" : Math.round(y * 10) / 10 === Math.round(y) ? Math.round(y).toLocaleString("en") : y.toFixed(1));
  const short = (y) => (y >= 1e6 ? +(y / 1e6).toFixed(1) + "M" : y >= 1e4 ? Math.round(y / 1e3) + "k" : y.toLocaleString("en"));

  // One column for what was, one for the line ahead: both need a value, or a gap, at every x.
  function columns(chart) {
    const ahead = chart.forecast;
    const xs = new Set(chart.x);
    if (ahead) [ahead.from, ahead.zero, Math.min(ahead.latest || chart.end, chart.end), ahead.earliest].forEach((x) => xs.add(x));
    if (chart.end) xs.add(chart.end);
    const x = [...xs].filter((v) => !chart.end || v <= chart.end || chart.x.includes(v)).sort((a, b) => a - b);
    const seen = new Map(chart.x.map((v, i) => [v, chart.y[i]]));
    const data = [x, x.map((v) => (seen.has(v) ? seen.get(v) : undefined))];
    if (ahead) {
      const line = (end) => x.map((v) => (v < ahead.from ? undefined : Math.max(0, ahead.value * (1 - (v - ahead.from) / (end - ahead.from)))));
      const level = x.map((v) => (v < ahead.from ? undefined : ahead.value));
      data.push(line(ahead.zero), line(ahead.earliest), ahead.latest ? line(ahead.latest) : level);
    }
    return data;
  }

  function marks(chart) {
    return (u) => {
      const { ctx, bbox } = u;
      const ratio = window.devicePixelRatio || 1;
      ctx.save();
      ctx.font = 11 * ratio + "px " + getComputedStyle(document.body).fontFamily;
      ctx.textBaseline = "top";
      ctx.textAlign = "right";
      let free = -Infinity;
      for (const mark of chart.marks) {
        const x = Math.round(u.valToPos(mark.x, "x", true));
        ctx.strokeStyle = colour("--red");
        ctx.lineWidth = ratio;
        ctx.setLineDash([3 * ratio, 3 * ratio]);
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
        if (x - free > 60 * ratio) {
          ctx.fillStyle = colour("--red");
          ctx.fillText(mark.label, x - 5 * ratio, bbox.top + 2 * ratio);
          free = x;
        }
      }
      ctx.restore();
    };
  }

  function tip(chart) {
    let box;
    return {
      init(u) { box = document.createElement("div"); box.className = "tip"; u.over.appendChild(box); },
      setCursor(u) {
        const i = u.cursor.idx;
        if (i == null || u.cursor.left < 0) { box.style.display = "none"; return; }
        const past = u.data[1][i];
        const ahead = u.data[2] && past === undefined ? u.data[2][i] : undefined;
        if (past === undefined && ahead === undefined) { box.style.display = "none"; return; }
        box.textContent = date(u.data[0][i]) + "  " + (past === undefined ? "about " + count(ahead) + " at this pace" : count(past));
        box.style.display = "block";
        const left = u.valToPos(u.data[0][i], "x");
        const flip = left > u.over.clientWidth - box.offsetWidth - 16;
        box.style.left = (flip ? left - box.offsetWidth - 8 : left + 8) + "px";
        box.style.top = "4px";
      },
    };
  }

  function options(chart, node) {
    const accent = colour("--accent");
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px " + getComputedStyle(document.body).fontFamily };
    const series = [{}, { label: chart.label, stroke: accent, width: 2, points: { show: false }, spanGaps: false }];
    if (chart.kind === "bars") {
      series[1].paths = uPlot.paths.bars({ size: [0.8, 40], radius: 0.15 });
      series[1].fill = accent;
      series[1].width = 0;
    } else {
      series[1].fill = accent + "1f";
      series[1].points = { show: (u) => chart.x.length < 3, size: 6, fill: accent };
    }
    const bands = [];
    if (chart.forecast) {
      series.push({ label: "At this pace", stroke: accent, width: 2, dash: [6, 5], points: { show: false } });
      series.push({ stroke: "transparent", points: { show: false } }, { stroke: "transparent", points: { show: false } });
      bands.push({ series: [4, 3], fill: accent + "26" });
    }
    const last = chart.end || chart.x[chart.x.length - 1];
    return {
      width: node.clientWidth, height: node.clientHeight, tzDate: (ts) => uPlot.tzDate(new Date(ts * 1e3), "UTC"),
      padding: [8, 22, 0, 0], legend: { show: false }, series, bands,
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7, fill: accent } },
      scales: { x: { time: true, range: () => { const pad = chart.x.length > 1 ? 43200 : 86400 * 3; return [chart.x[0] - pad, last + pad]; } }, y: { range: (u, low, high) => [0, Math.max(high || 0, 4) * 1.08] } },
      axes: [
        // A chart of the first days labels them, and not the days around that nobody has seen.
        { ...axis, grid: { show: false }, size: 28, space: 72, ...(chart.x.length < 4 && !chart.forecast ? { splits: () => chart.x } : {}), incrs: [86400, 7 * 86400, 14 * 86400, 30 * 86400, 61 * 86400, 91 * 86400, 182 * 86400],
          values: (u, ticks) => ticks.map((x) => new Date(x * 1000).toLocaleDateString("en", { day: "numeric", month: "short", timeZone: "UTC" })) },
        { ...axis, size: 48, space: 40, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 1e8, 1e9], values: (u, ticks) => ticks.map(short) },
      ],
      hooks: { draw: [marks(chart)], ...Object.fromEntries(Object.entries(tip(chart)).map(([k, f]) => [k, [f]])) },
    };
  }

  function draw(node, force) {
    const text = node.dataset.chart;
    const before = drawn.get(node);
    if (before && before.text === text && !force && node.contains(before.plot.root)) return;
    const chart = JSON.parse(text);
    if (before) before.plot.destroy();
    node.replaceChildren();
    if (!chart.x.length || !node.clientWidth) return;
    drawn.set(node, { text, plot: new uPlot(options(chart, node), columns(chart), node) });
  }

  function drawAll(force) { document.querySelectorAll("[data-chart]").forEach((node) => draw(node, force)); }

  let width = window.innerWidth;
  window.addEventListener("resize", () => { if (window.innerWidth !== width) { width = window.innerWidth; drawAll(true); } });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll(true));
  window.lastcallCharts = { draw: drawAll };
  drawAll(false);
})();

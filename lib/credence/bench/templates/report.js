"use strict";
(() => {
  const root = document.documentElement;
  const narrow = 560; // [px] below this a plot gets the margins of a phone
  const config = { responsive: true, displaylogo: false, displayModeBar: true, showTips: false, showSendToCloud: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"], toImageButtonOptions: { format: "svg" } };
  const read = (id) => JSON.parse(document.getElementById(id).textContent);

  // Links name their address but are no request until a reader follows one.
  for (const mark of document.querySelectorAll(".out[data-address]")) {
    const link = document.createElement("a");
    link.href = "https://" + mark.dataset.address;
    link.rel = "noopener noreferrer";
    link.append(...mark.childNodes);
    mark.replaceWith(link);
  }

  const contents = document.querySelector(".toc details");
  if (contents && window.matchMedia("(max-width: 62rem)").matches) contents.open = false;
  const links = new Map([...document.querySelectorAll(".toc a")].map((link) => [link.hash.slice(1), link]));
  const headings = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  const follow = () => {
    const passed = headings.filter((heading) => heading.getBoundingClientRect().top < 140);
    const atEnd = window.innerHeight + window.scrollY >= root.scrollHeight - 4 && window.scrollY > 0;
    const here = (atEnd ? headings.at(-1) : passed.at(-1) || headings[0]);
    for (const [id, link] of links) link.classList.toggle("here", here && id === here.id);
  };
  let waiting = false;
  addEventListener("scroll", () => {
    if (!waiting) requestAnimationFrame(() => { waiting = false; follow(); });
    waiting = true;
  }, { passive: true });
  follow();

  // Plotly stores numpy arrays as {dtype, bdata: base64, shape}.
  const arrays = { i1: Int8Array, u1: Uint8Array, u1c: Uint8ClampedArray, i2: Int16Array, u2: Uint16Array,
    i4: Int32Array, u4: Uint32Array, f4: Float32Array, f8: Float64Array };
  function decode(value) {
    if (Array.isArray(value)) return value.map((item) => (item && item.bdata !== undefined ? decode(item) : item));
    if (!value || value.bdata === undefined || !arrays[value.dtype]) return null;
    const bytes = Uint8Array.from(atob(value.bdata), (letter) => letter.charCodeAt(0));
    const flat = Array.from(new arrays[value.dtype](bytes.buffer));
    const shape = String(value.shape === undefined ? "" : value.shape).split(",").map(Number).filter(Boolean);
    if (shape.length < 2) return flat;
    const rows = [];
    for (let at = 0; at < flat.length; at += shape[1]) rows.push(flat.slice(at, at + shape[1]));
    return rows;
  }

  const skipped = new Set(["ids", "customdata", "hovertext", "selectedpoints", "colorscale", "texttemplate", "hoverinfo"]);
  function columns(trace) {
    const found = {};
    for (const [key, value] of Object.entries(trace)) {
      const list = skipped.has(key) ? null : decode(value);
      if (list && list.length) found[key] = list;
    }
    for (const key of ["error_x", "error_y"]) {
      for (const side of ["array", "arrayminus"]) {
        const list = trace[key] && decode(trace[key][side]);
        if (list) found[key + "_" + side] = list;
      }
    }
    return found;
  }

  function table(figure) {
    const rows = [], names = new Set(), several = new Set(figure.data.map((t) => (t.xaxis || "x") + (t.yaxis || "y"))).size > 1;
    figure.data.forEach((trace, place) => {
      const base = { trace: trace.name || "trace " + (place + 1), type: trace.type || "scatter" };
      if (several) base.panel = (trace.xaxis || "x") + " " + (trace.yaxis || "y");
      const own = columns(trace);
      if (own.z && Array.isArray(own.z[0])) {
        own.z.forEach((line, r) => line.forEach((z, c) => {
          const x = own.x ? own.x[c] : trace.x0 !== undefined ? trace.x0 + c * (trace.dx || 1) : c;
          const y = own.y ? own.y[r] : trace.y0 !== undefined ? trace.y0 + r * (trace.dy || 1) : r;
          rows.push({ ...base, x, y, z });
        }));
      } else {
        const length = Math.max(0, ...Object.values(own).map((list) => list.length));
        for (let i = 0; i < length; i += 1) {
          const row = { ...base };
          for (const [key, list] of Object.entries(own)) row[key] = list[i];
          if (!own.x && own.y) row.x = (trace.x0 || 0) + i * (trace.dx || 1);
          rows.push(row);
        }
      }
    });
    rows.forEach((row) => Object.keys(row).forEach((key) => names.add(key)));
    const first = ["trace", "type", "panel", "x", "y", "z"].filter((key) => names.has(key));
    return [[...first, ...[...names].filter((key) => !first.includes(key))], rows];
  }

  function csv(figure) {
    const [names, rows] = table(figure);
    const axis = (key) => {
      const title = figure.layout[key + "axis"] && figure.layout[key + "axis"].title;
      const text = title && (title.text || title);
      return typeof text === "string" && !names.includes("panel") ? key + ": " + text.replace(/<[^>]*>/g, "") : key;
    };
    const cell = (value) => {
      const text = value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
      return /[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
    };
    const head = names.map((name) => cell(name === "x" || name === "y" ? axis(name) : name)).join(",");
    return [head, ...rows.map((row) => names.map((name) => cell(row[name])).join(","))].join("\r\n") + "\r\n";
  }

  for (const button of document.querySelectorAll("button[data-csv]")) {
    button.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([csv(read(button.dataset.csv + "-data"))], { type: "text/csv" }));
      link.download = button.dataset.csv + ".csv";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }

  // Titles of narrow panels run into each other unless they are broken into lines.
  const wide = 0.56; // width of a letter, in units of the font size
  function wrap(text, pixels, size) {
    const most = Math.max(8, Math.floor(pixels / (wide * size)));
    if (typeof text !== "string" || /<br/i.test(text) || text.length <= most) return text;
    const lines = [""];
    for (const word of text.split(" ")) {
      const line = lines.at(-1);
      if (line && line.length + 1 + word.length > most) lines.push(word);
      else lines[lines.length - 1] = line ? line + " " + word : word;
    }
    return lines.join("<br>");
  }
  function titles(layout, width, size) {
    const across = Math.max(120, width - 100), spans = [];
    let lines = 1;
    for (const key of Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name))) {
      const axis = layout[key], title = typeof axis.title === "string" ? { text: axis.title } : axis.title || {};
      const domain = axis.domain || [0, 1], pixels = (domain[1] - domain[0]) * across;
      if (key[0] === "x") spans.push(domain);
      const text = key[0] === "x" ? wrap(title.text, pixels, size) : title.text;
      lines = Math.max(lines, (text || "").split("<br>").length);
      layout[key] = { ...axis, title: { ...title, text, font: { size, ...(title.font || {}) } } };
    }
    layout.annotations = (layout.annotations || []).map((note) => {
      const span = spans.find((d) => note.x >= d[0] && note.x <= d[1]);
      if (note.xref !== "paper" || note.yref !== "paper" || note.showarrow || !span) return note;
      const font = { ...(note.font || {}), size: Math.min((note.font || {}).size || size + 1, size + 1) };
      return { ...note, font, text: wrap(note.text, (span[1] - span[0]) * across, font.size) };
    });
    return lines;
  }
  // On a phone: thin margins, and legend and colour bar below the plot instead of beside or above it.
  function below(figure, layout, height, lines) {
    const margin = layout.margin || {}, area = Math.max(120, height - 130), drop = 54 + 15 * lines;
    const titled = layout.annotations.some((note) => note.yref === "paper" && note.y >= 0.99);
    const place = { orientation: "h", x: 0, xanchor: "left", y: -drop / area, yanchor: "top", yref: "paper" };
    layout.margin = { ...margin, t: titled ? 48 : 16, l: Math.min(margin.l || 48, 48), r: Math.min(margin.r || 12, 12) };
    layout.font = { ...(layout.font || {}), size: 11 };
    const keyed = layout.showlegend !== false && figure.data.filter((t) => t.showlegend !== false && t.name).length > 1;
    layout.legend = { ...(layout.legend || {}), ...place };
    const lay = (bar) => {
      const title = typeof bar.title === "string" ? { text: bar.title } : bar.title || {};
      const text = (title.text || "").replace(/<br\s*\/?>/gi, " ");
      return { ...bar, ...place, x: 0.5, xanchor: "center", y: -(drop + (keyed ? 45 : 0)) / area, thickness: 12, len: 1,
        title: { ...title, text, side: "top" } };
    };
    for (const key of Object.keys(layout).filter((name) => /^coloraxis/.test(name))) {
      layout[key] = { ...layout[key], colorbar: lay(layout[key].colorbar || {}) };
    }
    const own = (t) => !t.coloraxis && t.showscale !== false && (/heatmap|contour/.test(t.type || "") || t.colorbar);
    const dotted = (t) => t.marker && !t.marker.coloraxis && t.marker.showscale !== false && t.marker.colorbar;
    const scaled = figure.data.filter((t) => own(t) || dotted(t));
    if (scaled.length !== 1) return figure.data;
    return figure.data.map((t) => (t !== scaled[0] ? t : own(t) ? { ...t, colorbar: lay(t.colorbar || {}) }
      : { ...t, marker: { ...t.marker, colorbar: lay(t.marker.colorbar) } }));
  }
  function fit(figure, width, height) {
    const layout = { ...figure.layout }, small = width < narrow;
    const lines = titles(layout, width, small ? 11 : 13);
    return { ...figure, data: small ? below(figure, layout, height, lines) : figure.data, layout };
  }

  const figures = [...document.querySelectorAll(".plotly-figure")];
  const templates = figures.length ? read("figure-templates") : {};
  async function draw(place) {
    if (place.dataset.state) return;
    place.dataset.state = "drawing";
    try {
      const figure = fit(read(place.dataset.figure), place.clientWidth, place.clientHeight);
      const layout = { ...figure.layout, template: templates[figure.template] };
      const small = place.clientWidth < narrow ? { displayModeBar: false } : {};
      await Plotly.newPlot(place, figure.data, layout, { ...config, ...small });
      if (figure.frames) await Plotly.addFrames(place, figure.frames);
      place.dataset.state = "drawn";
    } catch (error) {
      place.dataset.state = "failed";
      place.insertAdjacentHTML("beforeend", '<p class="failed">This figure could not be drawn. Is assets/plotly.min.js beside the reports?</p>');
      console.error(place.id + ": " + error);
    }
  }

  // Those in sight first, the rest while the reader reads, so that a long report opens at once and prints whole.
  const idle = window.requestIdleCallback ? (f) => requestIdleCallback(f, { timeout: 300 }) : (f) => setTimeout(f, 30);
  const watcher = new IntersectionObserver((seen) => {
    for (const entry of seen) if (entry.isIntersecting) draw(entry.target);
  }, { rootMargin: "400px" });
  figures.forEach((place) => watcher.observe(place));
  const next = () => {
    const place = figures.find((figure) => !figure.dataset.state);
    if (place) draw(place).then(() => idle(next));
    else root.dataset.figures = figures.some((figure) => figure.dataset.state === "drawing") ? "drawing" : "drawn";
    if (root.dataset.figures === "drawing") idle(next);
  };
  idle(next);
  addEventListener("beforeprint", () => figures.forEach(draw));
})();

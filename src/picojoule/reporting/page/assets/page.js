"use strict";
(() => {
  const root = document.documentElement;

  // Light or dark: the system's, until the button says otherwise.
  const theme = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const say = () => {
    theme.textContent = isDark() ? "Light" : "Dark";
    theme.setAttribute("aria-pressed", String(isDark()));
  };
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    say();
  });
  system.addEventListener("change", say);
  say();

  // Tables: a click on a heading sorts, numbers from the largest, words from a; another click turns it round.
  const collator = new Intl.Collator("en", { numeric: true });
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
  };
  const sort = (heading) => {
    const column = heading.cellIndex;
    const body = heading.closest("table").tBodies[0];
    const rows = [...body.rows];
    const numeric = rows.some((row) => valueOf(row, column) !== null);
    const now = heading.getAttribute("aria-sort");
    const next = now === null ? (numeric ? "descending" : "ascending") : now === "ascending" ? "descending" : "ascending";
    const sign = next === "ascending" ? 1 : -1;
    rows.sort((a, b) => {
      if (!numeric) return sign * collator.compare(a.cells[column].textContent, b.cells[column].textContent);
      const [x, y] = [valueOf(a, column), valueOf(b, column)];
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (x - y);
    });
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", next);
    body.append(...rows);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.sort");
    if (button) sort(button.closest("th"));
  });

  // Filters: rows that have every word somewhere.
  document.addEventListener("input", (event) => {
    if (!event.target.matches("input.filter")) return;
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    const data = event.target.closest("details");
    const rows = [...data.querySelectorAll("tbody tr")];
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    const all = `${rows.length} row${rows.length === 1 ? "" : "s"}`;
    data.querySelector(".count").textContent = words.length ? `${shown} of ${all}` : all;
  });

  // What stands under the pointer, or under the keys.
  const tip = document.getElementById("tip");
  const show = (mark, x, y) => {
    tip.textContent = mark.dataset.tip;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${y - height - 12 < 8 ? y + 18 : y - height - 12}px`;
  };
  document.addEventListener("pointermove", (event) => {
    const mark = event.target.closest?.("[data-tip]");
    if (mark) show(mark, event.clientX, event.clientY);
    else if (!document.activeElement?.matches(".area.walking")) tip.hidden = true;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") tip.hidden = true;
    const area = document.activeElement;
    if (!area?.matches?.(".area")) return;
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const dots = [...area.querySelectorAll(".dot")].sort(
      (a, b) => parseFloat(a.style.getPropertyValue("--x")) - parseFloat(b.style.getPropertyValue("--x")),
    );
    const at = dots.findIndex((dot) => dot.classList.contains("here"));
    const next = dots[at < 0 ? (step > 0 ? 0 : dots.length - 1) : (at + step + dots.length) % dots.length];
    dots[at]?.classList.remove("here");
    next.classList.add("here");
    area.classList.add("walking");
    const box = next.getBoundingClientRect();
    show(next, box.left + box.width / 2, box.top);
  });
  document.addEventListener("focusout", (event) => {
    if (!event.target.matches?.(".area")) return;
    event.target.classList.remove("walking");
    event.target.querySelector(".here")?.classList.remove("here");
    tip.hidden = true;
  });

  // The result file, unpacked where the browser can; else the link hands out the packed one.
  const link = document.getElementById("result");
  if (link && "DecompressionStream" in window) {
    link.addEventListener("click", async (event) => {
      if (link.dataset.ready) return;
      event.preventDefault();
      const packed = Uint8Array.from(atob(link.href.slice(link.href.indexOf(",") + 1)), (c) => c.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
      const file = await new Response(stream).blob();
      link.href = URL.createObjectURL(new Blob([file], { type: "application/json" }));
      link.download = link.dataset.name;
      link.dataset.ready = "yes";
      link.click();
    });
  }
  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async (event) => {
      event.preventDefault();
      const source = document.getElementById(button.dataset.of);
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(source);
        button.textContent = "Selected";
      }
    });
  }

  // The slider of operating points: figures of each were worked out beforehand.
  for (const slider of document.querySelectorAll("input.points")) {
    const figure = slider.closest(".operating");
    const points = JSON.parse(figure.dataset.points);
    slider.addEventListener("input", () => {
      const point = points[Number(slider.value)];
      figure.querySelector(".said").textContent = point.said;
      for (const chart of figure.querySelectorAll("[data-chart]")) {
        const rows = chart.querySelectorAll(".row");
        point[chart.dataset.chart].forEach(([width, text], i) => {
          rows[i].querySelector("i").style.setProperty("--w", width);
          rows[i].querySelector(".value").textContent = text;
        });
      }
    });
  }

  // On paper every table is open.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details.data:not([open])")];
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of closed) one.open = false;
  });

  // The contents say where one is.
  const links = new Map([...document.querySelectorAll("nav ol a")].map((a) => [a.hash.slice(1), a]));
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        for (const a of links.values()) a.removeAttribute("aria-current");
        links.get(entry.target.id)?.setAttribute("aria-current", "true");
      }
    },
    { rootMargin: "-15% 0px -75% 0px" },
  );
  for (const id of links.keys()) {
    const target = document.getElementById(id);
    if (target) seen.observe(target);
  }
  performance.mark("interactive");
})();

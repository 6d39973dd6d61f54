"use strict";
// Colours, and the browser of samples. Every text of a model enters the page through textContent, never as HTML.
(() => {
  const PAGE = 30;
  const element = (id) => document.getElementById(id);
  const make = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // Colours: as the system, light, dark.
  const themes = ["auto", "light", "dark"];
  const names = { auto: "as the system", light: "light", dark: "dark" };
  const button = element("theme");
  const recall = () => { try { return localStorage.getItem("crescent-theme") || "auto"; } catch { return "auto"; } };
  const setTheme = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.setAttribute("aria-label", `Colours: ${names[theme]}`);
    button.querySelector(".word").textContent = theme[0].toUpperCase() + theme.slice(1);
    try { localStorage.setItem("crescent-theme", theme); } catch { /* a private window keeps nothing */ }
  };
  let theme = themes.includes(recall()) ? recall() : "auto";
  setTheme(theme);
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    setTheme(theme);
  });

  // Samples.
  const data = JSON.parse(element("data").textContent);
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const search = element("search");
  const filters = ["row", "verdict", "task"].map((name) => ({ name, box: element(name), label: element(`${name}-label`) }));
  const verdicts = {
    accepted: "kept as asked", rewritten: "kept after a rewrite", dropped: "dropped", invalid: "invalid",
    unanimous: "unanimous", majority: "majority", "no pair": "no pair", gained: "became right", lost: "became wrong",
  };
  let kind = tabs[0].dataset.kind;
  let shown = PAGE;

  const texts = (entry) => [entry.text, entry.rewrite, entry.neighbour, entry.response, entry.before, entry.after,
    entry.target, entry.answer, ...(entry.counts || []).map((pair) => pair[0])].filter((one) => one !== undefined && one !== null);
  const haystack = new Map();
  const words = (entry) => {
    if (!haystack.has(entry)) haystack.set(entry, texts(entry).join("\n").toLowerCase());
    return haystack.get(entry);
  };

  const fillFilters = () => {
    for (const { name, box, label } of filters) {
      const values = [...new Set(data[kind].map((entry) => entry[name]).filter((one) => one !== undefined))];
      label.hidden = values.length < 2;
      box.replaceChildren(...["", ...values].map((value) => {
        const option = make("option", "", value === "" ? "all" : verdicts[value] || value);
        option.value = value;
        return option;
      }));
    }
  };

  const matching = () => {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = filters.filter(({ box, label }) => !label.hidden && box.value !== "");
    return data[kind].filter((entry) => chosen.every(({ name, box }) => entry[name] === box.value)
      && wanted.every((word) => words(entry).includes(word)));
  };

  // A paragraph of text with the search words marked.
  const paragraph = (text) => {
    const made = make("p");
    const wanted = search.value.toLowerCase().split(/\s+/).filter((word) => word.length > 1);
    const lower = text.toLowerCase();
    let at = 0;
    while (wanted.length && lower.length === text.length && at < text.length) {
      let next = -1, word = "";
      for (const one of wanted) {
        const place = lower.indexOf(one, at);
        if (place >= 0 && (next < 0 || place < next)) { next = place; word = one; }
      }
      if (next < 0) break;
      made.append(text.slice(at, next), make("mark", "", text.slice(next, next + word.length)));
      at = next + word.length;
    }
    made.append(text.slice(at));
    return made;
  };

  const part = (title, text) => {
    const made = make("div");
    made.append(make("h4", "", title), paragraph(text));
    return made;
  };

  const bars = (entry) => {
    const made = make("div");
    made.append(make("h4", "", "Votes"));
    const grid = make("div", "bars");
    const most = Math.max(...entry.counts.map((pair) => pair[1]));
    for (const [answer, count] of entry.counts) {
      const bar = make("span", answer === entry.answer ? "bar won" : "bar");
      bar.style.width = `${100 * count / most}%`;
      grid.append(make("span", "name", answer), bar, make("span", "", String(count)));
    }
    made.append(grid);
    return made;
  };

  const card = (entry) => {
    const item = make("li");
    const meta = make("p", "meta");
    meta.append(make("span", `verdict ${entry.verdict in verdicts ? entry.verdict.replace(" ", "-") : ""}`, verdicts[entry.verdict] || entry.verdict));
    if (entry.task) meta.append(make("span", "", entry.task));
    if (entry.round) meta.append(make("span", "", `round ${entry.round}`));
    if (entry.cosine) meta.append(make("span", "", `cosine ${entry.cosine.toFixed(2)} to the nearest kept`));
    if (entry.rewrites) meta.append(make("span", "", `${entry.rewrites} rewrite${entry.rewrites > 1 ? "s" : ""}`));
    if (entry.agreement !== undefined) meta.append(make("span", "", `agreement ${Math.round(100 * entry.agreement)} %`));
    if (entry.reason) meta.append(make("span", "", entry.reason));
    if (!filters[0].label.hidden) meta.append(make("span", "", entry.row));
    const body = make("div", entry.before === undefined ? "texts" : "texts four");
    body.append(kind === "questions" ? paragraph(entry.text) : part(kind === "rejections" ? "Asked" : "Question", entry.text));
    if (entry.rewrite !== undefined) body.append(part("Kept instead", entry.rewrite));
    if (entry.neighbour !== undefined) body.append(part(entry.rewrite === undefined ? "Nearest kept question" : "Nearest kept question, after the rewrite", entry.neighbour));
    if (entry.counts) body.append(bars(entry));
    if (entry.response !== undefined) body.append(part("Training answer", entry.response));
    if (entry.target !== undefined) body.append(part("Right answer", entry.target));
    if (entry.before !== undefined) body.append(part("Before", entry.before), part("After", entry.after));
    item.append(meta, body);
    return item;
  };

  const render = () => {
    const found = matching();
    const total = Number(tabs.find((tab) => tab.dataset.kind === kind).dataset.total);
    const held = data[kind].length;
    const from = held < total ? `${held.toLocaleString("en")} on this page, of ${total.toLocaleString("en")} in all` : `${held.toLocaleString("en")}`;
    element("found").textContent = total === 0 ? "There are none in these runs, or their store is not where it was."
      : `${found.length.toLocaleString("en")} found among ${from}`;
    element("entries").replaceChildren(...found.slice(0, shown).map(card));
    element("more").hidden = found.length <= shown;
  };
  const again = () => { shown = PAGE; render(); };

  const select = (tab, focus) => {
    kind = tab.dataset.kind;
    for (const one of tabs) {
      one.setAttribute("aria-selected", String(one === tab));
      one.tabIndex = one === tab ? 0 : -1;
    }
    for (const what of document.querySelectorAll("[data-what]")) what.hidden = what.dataset.what !== kind;
    element("samples").setAttribute("aria-labelledby", tab.id);
    if (focus) tab.focus();
    fillFilters();
    again();
  };
  for (const tab of tabs) {
    tab.addEventListener("click", () => select(tab, false));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const at = { Home: 0, End: tabs.length - 1 }[event.key] ?? (step ? (tabs.indexOf(tab) + step + tabs.length) % tabs.length : -1);
      if (at >= 0) { event.preventDefault(); select(tabs[at], true); }
    });
  }
  let waiting = 0;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(again, 120); });
  for (const { box } of filters) box.addEventListener("change", again);
  document.querySelector("form.filters").addEventListener("submit", (event) => event.preventDefault());
  element("more").addEventListener("click", () => { shown += PAGE; render(); });
  select(tabs.find((tab) => Number(tab.dataset.total) > 0) || tabs[0], false);
})();

// Tables with captions and headings, and what stands in their cells.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** A button; its key finds it again when the table is drawn anew, so that it keeps the focus. */
export function button(key, label, name, action) {
  const made = element("button", { type: "button", "data-key": key, "aria-label": `${label}: ${name}` }, label);
  made.addEventListener("click", action);
  return made;
}

export function time(text) {
  return text ? element("time", { datetime: text }, new Date(text).toLocaleString()) : "—";
}

export function status(word) {
  return element("span", { class: word }, word.toLowerCase());
}

/** A table, or a sentence where there is nothing. The first cell of a row is its heading. */
export function table(caption, headings, rows, empty) {
  if (rows.length === 0) return element("p", { class: "empty" }, empty);
  const heading = ([label, kind]) => element("th", { scope: "col", class: kind }, label);
  const cell = (content, at) => {
    const parts = [content].flat();
    return at === 0 ? element("th", { scope: "row" }, ...parts) : element("td", { class: headings[at][1] }, ...parts);
  };
  const made = element(
    "table",
    {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...headings.map(heading))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map(cell)))),
  );
  return element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": caption }, made);
}

/** Puts new content into a place; what had the focus there keeps it. */
export function put(id, ...content) {
  const place = document.getElementById(id);
  const key = place.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  place.replaceChildren(...content);
  if (key !== undefined) {
    const again = [...place.querySelectorAll("[data-key]")].find((of) => of.dataset.key === key);
    (again ?? place.closest("section")?.querySelector(".scroll") ?? document.getElementById("main")).focus();
  }
}

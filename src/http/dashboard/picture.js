// How many jobs ended in each hour, as a picture: bars of three parts. What it shows is said in words beside it.

const WIDTH = 960;
const HEIGHT = 176;
const LEFT = 40;
const BOTTOM = 24;
const KINDS = [["succeeded", "done"], ["dead", "dead"], ["skipped", "left out"]];

function shape(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const sum = (hours, kind) => hours.reduce((all, hour) => all + hour[kind], 0);
const hourOf = (time) => new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

export function picture(hours) {
  const most = Math.max(1, ...hours.map((hour) => hour.succeeded + hour.dead + hour.skipped));
  const said = KINDS.map(([kind, word]) => `${sum(hours, kind)} ${word}`).join(", ");
  const text = `The last ${hours.length} hours: ${said}. The most in one hour: ${most}.`;
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": text });
  const floor = HEIGHT - BOTTOM;
  const scale = (floor - 16) / most;
  const step = (WIDTH - LEFT) / hours.length;
  svg.append(shape("text", { x: LEFT - 6, y: 20, "text-anchor": "end" }, String(most)));
  svg.append(shape("text", { x: LEFT - 6, y: floor, "text-anchor": "end" }, "0"));
  hours.forEach((hour, at) => {
    let top = floor;
    for (const [kind] of KINDS) {
      const height = hour[kind] * scale;
      top -= height;
      if (height > 0) {
        svg.append(shape("rect", { class: kind, x: LEFT + at * step + 2, y: top, width: step - 4, height }));
      }
    }
    if (at % 4 === 0) svg.append(shape("text", { x: LEFT + at * step + 2, y: HEIGHT - 6 }, hourOf(hour.from)));
  });
  svg.append(shape("line", { class: "axis", x1: LEFT, y1: floor, x2: WIDTH, y2: floor }));
  const caption = document.createElement("figcaption");
  caption.textContent = text;
  return [svg, caption];
}

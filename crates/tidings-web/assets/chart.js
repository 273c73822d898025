// A line over time on a canvas: the last `points` values, newest at the right.

export class Chart {
  #canvas;
  #series;
  #points;
  #format;
  #zero;
  #due = false;

  /** `series`: how many lines. `zero`: whether the scale begins there. */
  constructor(canvas, { points = 120, series = 1, zero = true, format = compact } = {}) {
    this.#canvas = canvas;
    this.#points = points;
    this.#format = format;
    this.#zero = zero;
    this.#series = Array.from({ length: series }, () => []);
    canvas.setAttribute("role", "img");
    new ResizeObserver(() => this.#ask()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#ask());
  }

  /** The next moment: one value for each line. */
  push(...values) {
    values.forEach((value, index) => {
      const line = this.#series[index];
      line.push(value);
      if (line.length > this.#points) line.shift();
    });
    this.#ask();
  }

  #ask() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      this.#draw();
    });
  }

  #draw() {
    const canvas = this.#canvas;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width || !height) return;
    const scale = devicePixelRatio || 1;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name);
    const all = this.#series.flat();
    if (!all.length) return;
    let low = this.#zero ? 0 : Math.min(...all);
    let high = Math.max(...all);
    if (high <= low) high = low + (this.#zero ? 1 : Math.abs(low) * 0.01 || 1);
    const top = 16;
    const step = width / (this.#points - 1);
    const y = (value) => top + (height - top - 2) * (1 - (value - low) / (high - low));

    pen.strokeStyle = colour("--line");
    pen.beginPath();
    for (const value of [low, high]) {
      pen.moveTo(0, Math.round(y(value)) - 0.5);
      pen.lineTo(width, Math.round(y(value)) - 0.5);
    }
    pen.stroke();
    this.#series.forEach((line, index) => {
      if (!line.length) return;
      const first = this.#points - line.length;
      pen.beginPath();
      line.forEach((value, at) => pen.lineTo((first + at) * step, y(value)));
      pen.strokeStyle = colour(["--accent", "--two", "--good", "--warn"][index % 4]);
      pen.lineWidth = 1.75;
      pen.lineJoin = "round";
      pen.stroke();
      if (this.#series.length === 1) {
        pen.lineTo((this.#points - 1) * step, y(low));
        pen.lineTo(first * step, y(low));
        pen.globalAlpha = 0.1;
        pen.fillStyle = pen.strokeStyle;
        pen.fill();
        pen.globalAlpha = 1;
      }
    });
    pen.fillStyle = colour("--quiet");
    pen.font = `11px ${style.fontFamily}`;
    pen.fillText(this.#format(high), 2, 11);
    if (!this.#zero) pen.fillText(this.#format(low), 2, height - 6);
  }
}

/** 1234567 → 1.2M */
export function compact(value) {
  if (value >= 100_000 || (value >= 10_000 && value % 1)) return COMPACT.format(value);
  return PLAIN.format(value);
}

/** 1536 → 1.5 kB */
export function bytes(value) {
  const unit = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, value)) / 3));
  const scaled = value / 1000 ** unit;
  const digits = scaled >= 100 || unit === 0 ? Math.round(scaled) : scaled.toFixed(1);
  return `${digits} ${UNITS[unit]}`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const PLAIN = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

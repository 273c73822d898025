// A line over time on a canvas: the last `points` values, newest at the right.

/** Space for the labels of the time axis, and above the highest line, in pixels. */
const FOOT = 15;
const TOP = 8;
/** Widths that the scale's labels get are multiples of this, so that the line does not jump. */
const GUTTER = 12;

export class Chart {
  #canvas;
  #series;
  #points;
  #format;
  #zero;
  #since;
  #due = false;

  /** `series`: number of lines. `zero`: the scale begins there. `since`: label of the left end. */
  constructor(canvas, options = {}) {
    const { points = 120, series = 1, zero = true, format = compact, since = "" } = options;
    this.#canvas = canvas;
    this.#points = points;
    this.#format = format;
    this.#zero = zero;
    this.#since = since;
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

  /** Forgets all values. */
  clear() {
    for (const line of this.#series) line.length = 0;
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
    const [low, high] = this.#range();
    if (high === undefined) return;
    const labels = [high, low].map((value) => this.#format(value));
    pen.font = `11px ${style.fontFamily}`;
    const widest = Math.max(...labels.map((label) => pen.measureText(label).width));
    const left = Math.ceil((widest + 6) / GUTTER) * GUTTER;
    const foot = height - (this.#since ? FOOT : 2);
    const step = (width - left) / (this.#points - 1);
    const y = (value) => TOP + (foot - TOP) * (1 - (value - low) / (high - low));

    // The scale at the left, the time below.
    pen.strokeStyle = colour("--line");
    pen.fillStyle = colour("--quiet");
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    pen.beginPath();
    [high, low].forEach((value, at) => {
      const line = Math.round(y(value)) - 0.5;
      pen.moveTo(left, line);
      pen.lineTo(width, line);
      pen.fillText(labels[at], left - 6, Math.min(line, height - 6));
    });
    pen.stroke();
    if (this.#since) {
      pen.textBaseline = "bottom";
      pen.fillText("now", width, height);
      pen.textAlign = "left";
      pen.fillText(this.#since, left, height);
    }
    this.#series.forEach((line, index) => {
      if (!line.length) return;
      const first = this.#points - line.length;
      pen.beginPath();
      line.forEach((value, at) => pen.lineTo(left + (first + at) * step, y(value)));
      pen.strokeStyle = colour(["--accent", "--two", "--good", "--warn"][index % 4]);
      pen.lineWidth = 1.75;
      pen.lineJoin = "round";
      pen.stroke();
      if (this.#series.length === 1) {
        pen.lineTo(width, y(low));
        pen.lineTo(left + first * step, y(low));
        pen.globalAlpha = 0.1;
        pen.fillStyle = pen.strokeStyle;
        pen.fill();
        pen.globalAlpha = 1;
      }
    });
  }

  /** The lowest and the highest value of the scale. */
  #range() {
    const all = this.#series.flat();
    if (!all.length) return [];
    const low = this.#zero ? 0 : Math.min(...all);
    const high = Math.max(...all);
    return [low, high > low ? high : low + (this.#zero ? 1 : Math.abs(low) * 0.01 || 1)];
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

// The canvas of a graph, drawn by uPlot. React holds everything around it.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { axisTicks, type Zone } from "../../time/format";
import type { TimeRange } from "../../time/range";
import type { Drawing } from "../state";
import { stack } from "./readings";
import type { Series } from "./series";
import { axisSteps, axisUnits, formatValue, type Unit } from "./units";

export interface PlotSpec {
  times: number[];
  /** Those that are shown, in the order they are drawn. */
  series: readonly Series[];
  range: TimeRange;
  drawing: Drawing;
  log: boolean;
  zone: Zone;
  width: number;
  height: number;
}

export interface PlotEvents {
  /** The pointer is at a time, at CSS pixels of the plotting area; undefined when it left. */
  onHover: (at: Pointer | undefined) => void;
  onPick: (at: Pointer) => void;
  onZoom: (range: TimeRange) => void;
  onUndo: () => void;
  /** Axes have their final places. */
  onDraw: () => void;
}

export interface Pointer {
  /** Of the time. */
  index: number;
  left: number;
  top: number;
}

const LEFT = "y";
const RIGHT = "right";
const DRAG_PX = 4;
const TICK_PX = 90;

export function createPlot(host: HTMLElement, spec: PlotSpec, events: PlotEvents): uPlot {
  const colours = resolveColours(host, spec.series.map(({ colour }) => colour));
  const plot = new uPlot(options(host, spec, colours, events), plotData(spec), host);
  plot.over.addEventListener("click", () => {
    const at = pointer(plot);
    if (at !== undefined) events.onPick(at);
  });
  return plot;
}

function pointer({ cursor }: uPlot): Pointer | undefined {
  const { idx, left = -1, top = -1 } = cursor;
  return idx === null || idx === undefined || left < 0 ? undefined : { index: idx, left, top };
}

/** Infinities cannot be drawn, nor what is not positive on a logarithmic axis. */
function plotData({ times, series, drawing, log }: PlotSpec): uPlot.AlignedData {
  if (drawing === "stacked") return [times, ...stack(series, times.length)];
  const drawable = (value: number | null) => value !== null && Number.isFinite(value) && (!log || value > 0);
  return [times, ...series.map(({ values }) => values.map((value) => (drawable(value) ? value : null)))];
}

function options(host: HTMLElement, spec: PlotSpec, colours: readonly string[], events: PlotEvents): uPlot.Options {
  const { range, width, height, series, drawing, log } = spec;
  const many = series.length > 40;
  const units = valueAxes(spec);
  const scale = (unit: Unit): uPlot.Scale =>
    // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- uPlot declares the enum, but exports no value of it.
    log ? { distr: 3, log: axisSteps(unit) === undefined ? 10 : 2 } : { range: linearRange };
  return {
    width,
    height,
    ms: 1e-3,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    focus: { alpha: 0.2 },
    cursor: {
      y: false,
      points: { show: !many, size: 7 },
      drag: { x: true, y: false, setScale: false, dist: DRAG_PX },
      bind: { dblclick: () => () => (events.onUndo(), null) },
    },
    scales: {
      x: { range: () => [range.start / 1000, range.end / 1000] },
      [LEFT]: scale(units.left),
      ...(units.right === undefined ? {} : { [RIGHT]: scale(units.right) }),
    },
    axes: axes(host, spec, units),
    series: [
      {},
      ...series.map((one, at) => ({ scale: one.unit === units.right ? RIGHT : LEFT, ...line(drawing, colours[at] ?? "gray", many) })),
    ],
    bands: drawing === "stacked" ? series.slice(1).map((_, at) => ({ series: [at + 2, at + 1] })) : [],
    hooks: {
      setCursor: [(plot) => events.onHover(pointer(plot))],
      setSelect: [(plot) => select(plot, events.onZoom)],
      draw: [events.onDraw],
    },
  };
}

/** A constant in the middle; otherwise a tenth of room, and zero when it is near. */
function linearRange(_: uPlot, min: number | null, max: number | null): uPlot.Range.MinMax {
  if (min === null || max === null) return [0, 1];
  return uPlot.rangeNum(min, max, 0.1, true);
}

function axes(host: HTMLElement, { range, zone, log, width }: PlotSpec, units: ReturnType<typeof axisUnits>): uPlot.Axis[] {
  const [text = "", grid = ""] = resolveColours(host, ["var(--text-muted)", "var(--line)"]);
  const font = `11px ${getComputedStyle(host).fontFamily}`;
  const ticks = axisTicks(range.start, range.end, zone, Math.max(2, Math.floor(width / TICK_PX)));
  const labels = new Map(ticks.map(({ at, label }) => [at / 1000, label]));
  const look = { stroke: text, font, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1, size: 4 } };
  const valueAxis = (scale: string, unit: Unit): uPlot.Axis => {
    const steps = axisSteps(unit);
    return {
      ...look,
      scale,
      size: (plot, values: string[] | null) => axisSize(plot, values ?? []),
      // uPlot leaves marks out on a logarithmic axis, as null.
      values: (_, splits) => splits.map((value: number | null) => (value === null ? "" : formatValue(value, unit))),
      ...(steps === undefined || log ? {} : { incrs: steps }),
    };
  };
  const time = { ...look, size: 28, splits: () => [...labels.keys()], values: (_: uPlot, splits: number[]) => splits.map((at) => labels.get(at) ?? "") };
  if (units.right === undefined) return [time, valueAxis(LEFT, units.left)];
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- as above; sides count clockwise from the top.
  const right: uPlot.Axis = { ...valueAxis(RIGHT, units.right), side: 1, grid: { show: false } };
  return [time, valueAxis(LEFT, units.left), right];
}

/** Sums of different units have one axis: there is nothing better to show them by. */
function valueAxes({ series, drawing }: Pick<PlotSpec, "series" | "drawing">) {
  const units = axisUnits(series.map(({ unit }) => unit));
  return drawing === "stacked" ? { ...units, right: undefined } : units;
}

/** The scale by which values of a unit are drawn. */
export function scaleOf(spec: Pick<PlotSpec, "series" | "drawing">, unit: Unit): string {
  return valueAxes(spec).right === unit ? RIGHT : LEFT;
}

/** As wide as its longest mark. */
function axisSize(plot: uPlot, values: readonly string[]): number {
  plot.ctx.save();
  plot.ctx.font = `${Math.round(11 * devicePixelRatio)}px sans-serif`;
  const widest = Math.max(0, ...values.map((value) => plot.ctx.measureText(value).width / devicePixelRatio));
  plot.ctx.restore();
  return Math.ceil(widest) + 18;
}

function line(drawing: Drawing, colour: string, many: boolean): uPlot.Series {
  const points = { size: drawing === "points" ? 4 : 5, stroke: colour, fill: colour, width: 0 };
  if (drawing === "points") return { stroke: colour, width: 0, points: { ...points, show: true }, paths: () => null };
  return {
    stroke: colour,
    width: many ? 1 : 1.5,
    spanGaps: false,
    points: { ...points, filter: lonelyPoints },
    ...(drawing === "stacked" ? { fill: translucent(colour) } : {}),
  };
}

/** All points when there is room for them, else those that no line reaches. */
function lonelyPoints(plot: uPlot, at: number, show: boolean): number[] | null {
  if (show) return null;
  const values = plot.data[at] ?? [];
  const none = (index: number) => values[index] === null || values[index] === undefined;
  const found: number[] = [];
  for (let index = 0; index < values.length; index += 1) {
    if (!none(index) && none(index - 1) && none(index + 1)) found.push(index);
  }
  return found;
}

function translucent(colour: string): string {
  return colour.replace(/^rgb\((.*)\)$/, (_, channels: string) => `rgba(${channels}, 0.35)`);
}

function select(plot: uPlot, onZoom: (range: TimeRange) => void): void {
  const { left, width } = plot.select;
  if (width < DRAG_PX) return;
  const at = (px: number) => Math.round(plot.posToVal(px, "x") * 1000);
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  const start = at(left);
  onZoom({ start, end: Math.max(start + 1, at(left + width)) });
}

/** A canvas knows no custom properties: what each colour is here and in this theme. */
function resolveColours(host: HTMLElement, colours: readonly string[]): string[] {
  const probe = document.createElement("span");
  host.append(probe);
  const resolved = colours.map((colour) => {
    probe.style.color = colour;
    return getComputedStyle(probe).color;
  });
  probe.remove();
  return resolved;
}

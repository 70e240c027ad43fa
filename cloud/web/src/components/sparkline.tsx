/** Small lines of values over time on one scale, without axes; a gap of ten times the usual step stays open. */

import type { Line } from "../data/vitals";

interface Props {
  lines: readonly Line[];
  /** The height stands for at least this much. */
  leastSpan: number;
  width?: number;
  height?: number;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

export function Sparkline({ lines, leastSpan, width = 120, height = 32 }: Props) {
  const drawn = lines.map(({ at, values }): Point[] => at.flatMap((x, i) => (values[i] == null ? [] : [{ x, y: values[i]! }])));
  const all = drawn.flat();
  const [x0, x1] = extent(all.map((p) => p.x));
  const [low, high] = widened(extent(all.map((p) => p.y)), leastSpan);
  const place = (p: Point): Point => ({
    x: ((p.x - x0) / (x1 - x0 || 1)) * (width - 4) + 2,
    y: height - 3 - ((p.y - low) / (high - low || 1)) * (height - 6),
  });
  return (
    <svg class="sparkline" viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
      {drawn.map((points, i) => points.length > 1 && <path d={pathOf(points, place)} key={i} />)}
    </svg>
  );
}

function pathOf(points: readonly Point[], place: (p: Point) => Point): string {
  const steps = points.slice(1).map((p, i) => p.x - points[i]!.x);
  const usual = [...steps].sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  return points
    .map((p, i) => {
      const { x, y } = place(p);
      const gap = i === 0 || p.x - points[i - 1]!.x > 10 * usual;
      return `${gap ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join("");
}

function extent(values: readonly number[]): [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

function widened([low, high]: [number, number], least: number): [number, number] {
  const more = Math.max(0, least - (high - low)) / 2;
  return [low - more, high + more];
}

/** A small line of values over time, without axes; gaps longer than ten times the usual step stay open. */

interface Props {
  at: readonly number[];
  values: readonly (number | null)[];
  width?: number;
  height?: number;
}

export function Sparkline({ at, values, width = 120, height = 32 }: Props) {
  const points = at.flatMap((x, i) => (values[i] == null ? [] : [{ x, y: values[i] as number }]));
  if (points.length < 2) return <svg class="sparkline" viewBox={`0 0 ${width} ${height}`} aria-hidden="true" />;
  const [x0, x1] = [points[0]!.x, points[points.length - 1]!.x];
  const low = Math.min(...points.map((p) => p.y));
  const high = Math.max(...points.map((p) => p.y));
  const step = (x1 - x0) / (points.length - 1);
  const path = points
    .map((p, i) => {
      const x = ((p.x - x0) / (x1 - x0 || 1)) * (width - 4) + 2;
      const y = height - 3 - ((p.y - low) / (high - low || 1)) * (height - 6);
      const gap = i === 0 || p.x - points[i - 1]!.x > 10 * step;
      return `${gap ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join("");
  return (
    <svg class="sparkline" viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

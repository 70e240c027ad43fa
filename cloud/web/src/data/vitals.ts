/** Series as the cards show them: a fixed order, and blood pressure as one "systolic/diastolic". */

import type { Series } from "./types";
import { rounded } from "./units";

export const METRICS = ["heart_rate", "spo2", "respiration_rate", "systolic", "diastolic", "body_temperature"];
const PRESSURE = "blood_pressure";
/** Both values of one measurement carry the same time; a little slack for sensors that send them one after the other. */
const TOGETHER_S = 30;
/** A chart spans at least this much, so that the noise of a sensor does not look like a crisis. */
const LEAST_SPAN: Record<string, number> = {
  heart_rate: 20,
  spo2: 6,
  respiration_rate: 8,
  systolic: 30,
  diastolic: 30,
  [PRESSURE]: 30,
  body_temperature: 1,
};

export interface Line {
  readonly at: readonly number[];
  readonly values: readonly (number | null)[];
}

export interface Card {
  readonly key: string;
  readonly metric: string;
  readonly device: string;
  readonly value: string;
  readonly at: number;
  readonly lines: readonly Line[];
  readonly leastSpan: number;
}

/** One card a metric and device, in the order of METRICS; a pressure whose halves are not of one moment stays two. */
export function cards(series: readonly Series[]): readonly Card[] {
  const filled = series.filter((s) => s.at.length > 0);
  const rank = (s: Series) => METRICS.indexOf(s.metric);
  const ordered = [...filled].sort((a, b) => rank(a) - rank(b) || a.device.localeCompare(b.device));
  const made: Card[] = [];
  const taken = new Set<Series>();
  for (const s of ordered) {
    if (taken.has(s)) continue;
    const other = s.metric === "systolic" && ordered.find((o) => o.metric === "diastolic" && ofOneMoment(s, o));
    if (other) taken.add(other);
    made.push(other ? card(PRESSURE, [s, other]) : card(s.metric, [s]));
  }
  return made;
}

function ofOneMoment(a: Series, b: Series): boolean {
  return a.device === b.device && Math.abs(lastOf(a.at)! - lastOf(b.at)!) <= TOGETHER_S;
}

function card(metric: string, parts: readonly [Series, ...Series[]]): Card {
  const [first] = parts;
  return {
    key: `${first.device}/${metric}`,
    metric,
    device: first.device,
    value: parts.map((p) => shown(p.metric, lastOf(p.values))).join("/"),
    at: lastOf(first.at) ?? 0,
    lines: parts.map((p) => ({ at: p.at, values: p.values.map((v) => (typeof v === "number" ? v : null)) })),
    leastSpan: LEAST_SPAN[metric] ?? 0,
  };
}

function shown(metric: string, value: unknown): string {
  if (typeof value !== "number") return value == null ? "–" : String(value);
  return metric === "systolic" || metric === "diastolic" ? value.toFixed(0) : rounded(metric, value);
}

function lastOf<T>(list: readonly T[]): T | undefined {
  return list[list.length - 1];
}

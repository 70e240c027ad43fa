/** Latest vitals of the home and their course over the last hours, as small charts with values and ages. */

import { useEffect, useState } from "preact/hooks";
import { ApiProblem, get } from "../data/http";
import { now } from "../data/now";
import type { Series } from "../data/types";
import { age, code, type Key, t } from "../i18n";
import { Sparkline } from "./sparkline";

const METRICS = ["heart_rate", "spo2", "respiration_rate", "systolic", "diastolic", "body_temperature"];
const UNITS: Record<string, string> = {
  heart_rate: "/min",
  spo2: "%",
  respiration_rate: "/min",
  systolic: "mmHg",
  diastolic: "mmHg",
  body_temperature: "°C",
};
const HOURS = 6;
const REFRESH_MS = 15_000;

interface Loaded {
  series: readonly Series[];
  problem: Key | null;
}

export function Vitals({ homeId, at }: { homeId: string; at: number }) {
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  useEffect(() => {
    let shown = true;
    const refresh = async () => {
      const next = await load(homeId, at);
      if (shown) setLoaded(next);
    };
    void refresh();
    const timer = window.setInterval(() => void refresh(), REFRESH_MS);
    return () => {
      shown = false;
      window.clearInterval(timer);
    };
  }, [homeId, at]);
  return (
    <section class="panel" data-testid="vitals">
      <h2>{t("incident.vitals")}</h2>
      {loaded?.problem && <p class="muted">{t(loaded.problem)}</p>}
      {loaded && !loaded.problem && loaded.series.length === 0 && <p class="empty">{t("incident.noVitals")}</p>}
      <div class="vitals">
        {loaded?.series.map((s) => (
          <VitalTile series={s} key={`${s.device}/${s.metric}`} />
        ))}
      </div>
    </section>
  );
}

async function load(homeId: string, at: number): Promise<Loaded> {
  const query = new URLSearchParams({
    metrics: METRICS.join(),
    start: String(at - HOURS * 3600),
    end: String(Date.now() / 1000 + 60),
    max_points: "200",
  });
  try {
    const series = await get<Series[]>(`/homes/${homeId}/series?${query}`);
    return { series: series.filter((s) => s.at.length > 0), problem: null };
  } catch (error) {
    if (error instanceof ApiProblem) return { series: [], problem: "incident.vitalsUnavailable" };
    throw error;
  }
}

function VitalTile({ series }: { series: Series }) {
  const last = series.at.length - 1;
  const value = series.values[last];
  const numbers = series.values.map((v) => (typeof v === "number" ? v : null));
  return (
    <div class="vital">
      <span class="muted">{code("metric", series.metric)}</span>
      <strong>
        {typeof value === "number" ? Number(value.toFixed(1)) : String(value)} <small>{UNITS[series.metric]}</small>
      </strong>
      <Sparkline at={series.at} values={numbers} />
      <time class="muted">{age(series.at[last] ?? 0, now.value)}</time>
    </div>
  );
}

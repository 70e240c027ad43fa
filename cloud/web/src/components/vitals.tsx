/** Latest vitals of the home and their course over the last hours, as small charts with values and ages. */

import { useEffect, useState } from "preact/hooks";
import { ApiProblem, get } from "../data/http";
import { now } from "../data/now";
import type { Series } from "../data/types";
import { UNITS } from "../data/units";
import { type Card, cards, METRICS } from "../data/vitals";
import { age, code, type Key, t } from "../i18n";
import { Sparkline } from "./sparkline";

const HOURS = 6;
const REFRESH_MS = 15_000;

interface Loaded {
  cards: readonly Card[];
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
      {!loaded && <p class="empty">{t("incident.loading")}</p>}
      {loaded?.problem && <p class="muted">{t(loaded.problem)}</p>}
      {loaded && !loaded.problem && loaded.cards.length === 0 && <p class="empty">{t("incident.noVitals")}</p>}
      <div class="vitals">
        {loaded?.cards.map((card) => (
          <VitalTile card={card} alone={loaded.cards.filter((c) => c.metric === card.metric).length === 1} key={card.key} />
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
    return { cards: cards(series), problem: null };
  } catch (error) {
    if (error instanceof ApiProblem) return { cards: [], problem: "incident.vitalsUnavailable" };
    throw error;
  }
}

/** The device is named only where two of them report the same. */
function VitalTile({ card, alone }: { card: Card; alone: boolean }) {
  return (
    <div class="vital" data-metric={card.metric}>
      <span class="muted">
        {code("metric", card.metric)}
        {!alone && ` · ${card.device}`}
      </span>
      <strong>
        {card.value} <small>{UNITS[card.metric]}</small>
      </strong>
      <Sparkline lines={card.lines} leastSpan={card.leastSpan} />
      <time class="muted">{age(card.at, now.value)}</time>
    </div>
  );
}

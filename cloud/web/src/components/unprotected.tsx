/** Minutes without protection of each home in a month, the longest first. */

import { useState } from "preact/hooks";
import { useLoaded } from "../data/loaded";
import type { UnprotectedHome } from "../data/types";
import { code, t } from "../i18n";
import { Trouble } from "./trouble";

const SHOWN = 100;
const MONTHS = 12;
/** Shorter is a restart, not an outage: counted, but not listed. */
const LEAST_MIN = 1;

/** This month and those before it, as YYYY-MM. */
function months(): readonly string[] {
  const today = new Date();
  return Array.from({ length: MONTHS }, (_, back) => {
    const day = new Date(today.getFullYear(), today.getMonth() - back, 1);
    return `${day.getFullYear()}-${String(day.getMonth() + 1).padStart(2, "0")}`;
  });
}

export function Unprotected() {
  const choices = months();
  const [month, setMonth] = useState(choices[0] ?? "");
  const { value, problem } = useLoaded<readonly UnprotectedHome[]>(`/reports/unprotected?month=${month}`);
  const homes = value?.filter((h) => h.minutes >= LEAST_MIN);
  const brief = (value?.length ?? 0) - (homes?.length ?? 0);
  const longest = homes?.[0]?.minutes ?? 0;
  return (
    <section class="panel" data-testid="unprotected">
      <h2>{t("unprotected.title")}</h2>
      <div class="actions">
        <select aria-label={t("unprotected.month")} value={month} onChange={(e) => setMonth(e.currentTarget.value)}>
          {choices.map((m) => (
            <option value={m} key={m}>
              {m}
            </option>
          ))}
        </select>
        {homes && homes.length > 0 && <span class="muted">{t("unprotected.homes", { n: homes.length })}</span>}
      </div>
      <Trouble problem={problem} />
      {!value && !problem && <p class="empty">{t("incident.loading")}</p>}
      {value?.length === 0 && <p class="empty">{t("unprotected.none")}</p>}
      <ul class="people">
        {homes?.slice(0, SHOWN).map((h) => (
          <li key={h.home_id}>
            <span>
              <strong>{h.address}</strong> <small class="muted">{`${code("district", h.sub_district)} · ${h.home_id}`}</small>
            </span>
            <meter min={0} max={longest} value={h.minutes} />
            <span class="minutes">{t("span.minutes", { n: Math.round(h.minutes) })}</span>
          </li>
        ))}
      </ul>
      {homes && homes.length > SHOWN && <p class="muted">{t("outage.more", { n: homes.length - SHOWN })}</p>}
      {brief > 0 && <p class="muted">{t("unprotected.brief", { n: brief })}</p>}
    </section>
  );
}

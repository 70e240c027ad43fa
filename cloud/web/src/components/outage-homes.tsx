/** Homes of an area outage: how many are still away, and each with since when, or when it came back. */

import { useLoaded } from "../data/loaded";
import type { OutageHome } from "../data/types";
import { clock, t } from "../i18n";

const REFRESH_MS = 10_000;
const SHOWN = 200;

export function OutageHomes({ incidentId }: { incidentId: string }) {
  const { value: homes, problem } = useLoaded<readonly OutageHome[]>(`/incidents/${incidentId}/homes`, { everyMs: REFRESH_MS });
  const away = homes?.filter((home) => home.back_at === null).length ?? 0;
  return (
    <section class="panel" data-testid="outage-homes">
      <h2>{t("outage.homes")}</h2>
      {problem && <p class="muted">{t("outage.unavailable")}</p>}
      {homes && <p>{t("outage.away", { away, all: homes.length })}</p>}
      <ul class="people">
        {homes?.slice(0, SHOWN).map((home) => (
          <li key={home.id}>
            <span>
              <strong>{home.address}</strong> <span class="muted">{home.id}</span>
            </span>
            <span class={home.back_at === null ? "tag tag-warn" : "tag"}>
              {home.back_at === null ? t("outage.since", { at: clock(home.since) }) : t("outage.back", { at: clock(home.back_at) })}
            </span>
          </li>
        ))}
      </ul>
      {homes && homes.length > SHOWN && <p class="muted">{t("outage.more", { n: homes.length - SHOWN })}</p>}
    </section>
  );
}

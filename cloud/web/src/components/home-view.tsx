/** One home: who lives there, what is open, the vitals of the last hours, the latest value of everything. */

import { lifeQueue, listed, select, technicalQueue } from "../data/incidents";
import { useLoaded } from "../data/loaded";
import { now } from "../data/now";
import type { Home, Sample } from "../data/types";
import { rounded, UNITS } from "../data/units";
import { METRICS } from "../data/vitals";
import { age, code, person, t } from "../i18n";
import { IncidentRow } from "./incident-row";
import { Trouble } from "./trouble";
import { Vitals } from "./vitals";

const REFRESH_MS = 15_000;

export function HomeView({ home }: { home: Home }) {
  return (
    <>
      <div class="incident-head">
        <h1>
          {home.residents.map(person).join(t("and")) || home.id}
          <span class={`tag ${home.online ? "tag-good" : "tag-warn"}`}>{t(home.online ? "homes.online" : "homes.offline")}</span>
        </h1>
        <p class="who">
          <span>
            {home.address} · {code("district", home.sub_district)}
          </span>
          {home.residents.map((r) => r.phone && <a href={`tel:${r.phone}`} key={r.id}>{`☎ ${r.phone}`}</a>)}
        </p>
        <p class="muted">
          {[
            ...(home.residents.length > 0 ? [home.id] : []),
            ...(home.last_seen_at != null ? [t("homes.lastSeen", { age: age(home.last_seen_at, now.value) })] : []),
          ].join(" · ")}
        </p>
      </div>
      <OpenIncidents homeId={home.id} />
      <Vitals homeId={home.id} at={now.peek()} />
      <Latest homeId={home.id} />
    </>
  );
}

function OpenIncidents({ homeId }: { homeId: string }) {
  const open = [...lifeQueue.value, ...technicalQueue.value].filter((i) => i.home.id === homeId);
  const show = (id: string) => {
    void select(id);
    location.hash = "queue";
  };
  return (
    <section class="panel">
      <h2>{t("overview.open")}</h2>
      <ul class="rows">
        {open.map((i) => (
          <IncidentRow incident={i} selected={false} onSelect={() => show(i.id)} key={i.id} />
        ))}
      </ul>
      {open.length === 0 && <p class="empty">{t(listed.value ? "queue.empty" : "incident.loading")}</p>}
    </section>
  );
}

function Latest({ homeId }: { homeId: string }) {
  const { value, problem } = useLoaded<readonly Sample[]>(`/homes/${homeId}/latest`, { everyMs: REFRESH_MS });
  return (
    <section class="panel">
      <h2>{t("homes.latest")}</h2>
      <Trouble problem={problem} />
      {!value && !problem && <p class="empty">{t("incident.loading")}</p>}
      {value?.length === 0 && <p class="empty">{t("homes.noSeries")}</p>}
      {value && value.length > 0 && <LatestTable samples={[...value].sort(byDevice)} />}
    </section>
  );
}

/** By device, and of one device the vitals in the order of their cards: systolic before diastolic. */
function byDevice(a: Sample, b: Sample): number {
  return a.device.localeCompare(b.device) || METRICS.indexOf(a.metric) - METRICS.indexOf(b.metric);
}

function LatestTable({ samples }: { samples: readonly Sample[] }) {
  return (
    <table data-testid="latest">
      <thead>
        <tr>
          <th>{t("homes.device")}</th>
          <th>{t("homes.metric")}</th>
          <th>{t("homes.value")}</th>
          <th>{t("homes.when")}</th>
        </tr>
      </thead>
      <tbody>
        {samples.map((s) => (
          <tr key={`${s.device}/${s.metric}`}>
            <td>{s.device}</td>
            <td>{code("metric", s.metric)}</td>
            <td class="value">{shown(s)}</td>
            <td class="muted when">{age(s.at, now.value)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Numbers with their unit, flags and rooms in the operator's language, other texts as they are. */
function shown({ metric, value }: Sample): string {
  if (typeof value === "number") {
    const unit = UNITS[metric] ?? "";
    return `${rounded(metric, value)}${unit === "°" ? "" : " "}${unit}`.trim();
  }
  if (typeof value === "boolean") return t(value ? "value.true" : "value.false");
  return metric === "room" ? code("room", value) : value;
}

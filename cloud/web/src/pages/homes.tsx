/** Finds a home by name, address or number and shows its last day. */

import { useEffect, useState } from "preact/hooks";
import { Vitals } from "../components/vitals";
import { get } from "../data/http";
import { now } from "../data/now";
import type { Home, Sample } from "../data/types";
import { age, code, t } from "../i18n";

const TYPING_PAUSE_MS = 250;

export function HomesPage() {
  const [query, setQuery] = useState("");
  const [homes, setHomes] = useState<readonly Home[] | null>(null);
  const [chosen, setChosen] = useState<Home | null>(null);
  useEffect(() => {
    const search = () => void get<Home[]>(`/homes?q=${encodeURIComponent(query)}`).then(setHomes, () => setHomes([]));
    const timer = window.setTimeout(search, TYPING_PAUSE_MS);
    return () => window.clearTimeout(timer);
  }, [query]);
  return (
    <div class="homes-page">
      <aside class="queue">
        <input
          type="search"
          placeholder={t("search.homes")}
          aria-label={t("search.homes")}
          value={query}
          maxLength={80}
          onInput={(e) => setQuery(e.currentTarget.value)}
        />
        <ul>
          {homes?.map((h) => (
            <li key={h.id}>
              <button class="row" aria-current={chosen?.id === h.id ? "true" : undefined} onClick={() => setChosen(h)}>
                <span class="row-main">
                  <strong>{h.residents.map((r) => r.name).join("、") || h.id}</strong>
                  <span>{h.address}</span>
                </span>
                <span class={`tag ${h.online ? "tag-good" : "tag-warn"}`}>{t(h.online ? "homes.online" : "homes.offline")}</span>
              </button>
            </li>
          ))}
        </ul>
        {homes?.length === 0 && <p class="empty">{t("homes.empty")}</p>}
      </aside>
      {chosen ? <HomeView home={chosen} key={chosen.id} /> : <p class="empty">{t("homes.pick")}</p>}
    </div>
  );
}

/** Flags in the operator's language, text values as they are. */
function text(value: Sample["value"]): string {
  return typeof value === "boolean" ? t(value ? "value.true" : "value.false") : String(value);
}

function HomeView({ home }: { home: Home }) {
  const [latest, setLatest] = useState<readonly Sample[]>([]);
  useEffect(() => {
    void get<Sample[]>(`/homes/${home.id}/latest`).then(setLatest, () => setLatest([]));
  }, [home.id]);
  return (
    <section class="incident-view">
      <div class="incident-head">
        <h1>{home.residents.map((r) => `${r.name}，${t("years", { n: r.age })}`).join("、") || home.id}</h1>
        <p class="who">
          {home.address} · {code("district", home.sub_district)}
        </p>
      </div>
      <Vitals homeId={home.id} at={now.peek()} />
      <section class="panel">
        <table>
          <tbody>
            {latest.map((s) => (
              <tr key={`${s.device}/${s.metric}`}>
                <td>{s.device}</td>
                <td>{code("metric", s.metric)}</td>
                <td>{typeof s.value === "number" ? Number(s.value.toFixed(2)) : text(s.value)}</td>
                <td class="muted">{age(s.at, now.value)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {latest.length === 0 && <p class="empty">{t("homes.noSeries")}</p>}
      </section>
    </section>
  );
}

/** Finds a home by name, address or number. */

import { useState } from "preact/hooks";
import { BackButton } from "../components/back-button";
import { HomeView } from "../components/home-view";
import { Trouble } from "../components/trouble";
import { useLoaded } from "../data/loaded";
import type { Home } from "../data/types";
import { t } from "../i18n";

const TYPING_PAUSE_MS = 250;

export function HomesPage() {
  const [query, setQuery] = useState("");
  const [chosen, setChosen] = useState<Home | null>(null);
  const path = `/homes?q=${encodeURIComponent(query)}`;
  const { value: homes, problem } = useLoaded<readonly Home[]>(path, { pauseMs: TYPING_PAUSE_MS, keep: true });
  return (
    <div class={`homes-page ${chosen ? "chosen" : ""}`}>
      <aside class="queue">
        <input
          type="search"
          placeholder={t("search.homes")}
          aria-label={t("search.homes")}
          value={query}
          maxLength={80}
          onInput={(e) => setQuery(e.currentTarget.value)}
        />
        <Trouble problem={problem} />
        <ul>
          {homes?.map((h) => (
            <li key={h.id}>
              <button class="row" aria-current={chosen?.id === h.id ? "true" : undefined} onClick={() => setChosen(h)}>
                <span class="row-main">
                  <strong>{h.residents.map((r) => r.name).join(t("and")) || h.id}</strong>
                  <span>{h.address}</span>
                </span>
                <span class={`tag ${h.online ? "tag-good" : "tag-warn"}`}>{t(h.online ? "homes.online" : "homes.offline")}</span>
              </button>
            </li>
          ))}
        </ul>
        {!homes && !problem && <p class="empty">{t("incident.loading")}</p>}
        {homes?.length === 0 && !problem && <p class="empty">{t("homes.empty")}</p>}
      </aside>
      {chosen ? (
        <section class="incident-view" data-testid="home">
          <BackButton onClick={() => setChosen(null)} />
          <HomeView home={chosen} key={chosen.id} />
        </section>
      ) : (
        <p class="empty pick">{t("homes.pick")}</p>
      )}
    </div>
  );
}

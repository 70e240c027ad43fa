/** The operator's page: queue, the chosen incident, the map. */

import { useEffect, useState } from "preact/hooks";
import { BackButton } from "../components/back-button";
import { IncidentRow } from "../components/incident-row";
import { IncidentView } from "../components/incident-view";
import { MapView } from "../components/map-view";
import { Trouble } from "../components/trouble";
import { detail, failure, lifeQueue, listed, select, selectedId, technicalQueue, unselect } from "../data/incidents";
import type { IncidentSummary } from "../data/types";
import { t } from "../i18n";

export function QueuePage() {
  const life = useHeldOrder(lifeQueue.value);
  return (
    <div class={`queue-page ${selectedId.value ? "chosen" : ""}`}>
      <aside class="queue" aria-label={t("nav.queue")}>
        <h2>{t("queue.life")}</h2>
        {life.held > 0 && (
          <button class="new-strip" onClick={life.show}>
            {t("queue.new", { n: life.held })}
          </button>
        )}
        <ul>
          {life.rows.map((i) => (
            <IncidentRow incident={i} selected={i.id === selectedId.value} onSelect={(byKey) => void choose(i.id, byKey)} key={i.id} />
          ))}
        </ul>
        {life.rows.length === 0 && <p class="empty">{t(listed.value ? "queue.empty" : "incident.loading")}</p>}
        <h2>{t("queue.technical")}</h2>
        <ul>
          {technicalQueue.value.map((i) => (
            <IncidentRow incident={i} selected={i.id === selectedId.value} onSelect={(byKey) => void choose(i.id, byKey)} key={i.id} />
          ))}
        </ul>
        {technicalQueue.value.length === 0 && <p class="empty">{t(listed.value ? "queue.emptyTechnical" : "incident.loading")}</p>}
      </aside>
      {detail.value ? (
        <IncidentView incident={detail.value} onBack={unselect} />
      ) : (
        <section class="incident-view">
          {selectedId.value && <BackButton onClick={unselect} />}
          <Trouble problem={failure.value} />
          {(selectedId.value || life.rows.length + technicalQueue.value.length > 0) && (
            <p class="empty">{t(selectedId.value ? "incident.loading" : "incident.pick")}</p>
          )}
        </section>
      )}
      <MapView incidents={lifeQueue.value} selected={detail.value} />
    </div>
  );
}

/** Show an incident; whoever chose it by key goes on there, and not through the rest of the list. */
async function choose(id: string, byKey: boolean): Promise<void> {
  await select(id);
  if (byKey && selectedId.value === id) document.querySelector<HTMLElement>(".incident-head")?.focus();
}

/** While the operator works on an incident, rows keep their place and new ones wait behind a strip. */
function useHeldOrder(queue: readonly IncidentSummary[]) {
  const [order, setOrder] = useState<readonly string[]>([]);
  const working = detail.value !== null && document.activeElement?.closest(".incident-view, .queue") !== null;
  const ids = queue.map((i) => i.id);
  useEffect(() => {
    if (!working) setOrder(ids);
  }, [working, ids.join()]);
  if (!working) return { rows: queue, held: 0, show: () => undefined };
  const known = new Map(queue.map((i) => [i.id, i]));
  const rows = order.flatMap((id) => known.get(id) ?? []);
  return { rows, held: queue.length - rows.length, show: () => setOrder(ids) };
}

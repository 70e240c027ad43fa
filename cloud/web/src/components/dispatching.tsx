/** Who has been sent, and who could be, each with the reasons for its rank. */

import { act, busy, candidates } from "../data/incidents";
import type { Candidate, IncidentDetail } from "../data/types";
import { clock, code, t } from "../i18n";

const SHOWN = 6;

export function Dispatching({ incident, mine }: { incident: IncidentDetail; mine: boolean }) {
  const sent = new Set(incident.assignments.filter((a) => a.state !== "declined").map((a) => a.responder.id));
  const open = incident.state !== "closed" && incident.class === "life";
  if (!open && incident.assignments.length === 0) return null;
  const free = candidates.value?.filter((c) => !sent.has(c.responder.id)).slice(0, SHOWN);
  return (
    <section class="panel" data-testid="dispatching">
      {incident.assignments.length > 0 && (
        <>
          <h2>{t("incident.assignments")}</h2>
          <ul class="people">
            {incident.assignments.map((a) => (
              <li key={a.id}>
                <strong>{a.responder.name}</strong> <span class="muted">{code("role", a.responder.role)}</span>
                <span class={`tag assignment-${a.state}`}>{code("assignment", a.state)}</span>
                <time class="muted">{clock(a.arrived_at ?? a.answered_at ?? a.offered_at)}</time>
              </li>
            ))}
          </ul>
        </>
      )}
      {open && (
        <>
          <h2>{t("incident.candidates")}</h2>
          <ul class="people">
            {free?.map((c) => (
              <CandidateRow candidate={c} enabled={mine && c.eligible} key={c.responder.id} />
            ))}
          </ul>
          {!free?.length && <p class="empty">{t(free ? "incident.noCandidates" : "incident.loading")}</p>}
        </>
      )}
    </section>
  );
}

function CandidateRow({ candidate, enabled }: { candidate: Candidate; enabled: boolean }) {
  const { responder, distance_m, reasons } = candidate;
  return (
    <li class={candidate.eligible ? "" : "ineligible"}>
      <span>
        <strong>{responder.name}</strong> <span class="muted">{code("role", responder.role)}</span>
        <small class="reasons">{reasons.map((r) => code("reason", r)).join(" · ")}</small>
      </span>
      {distance_m != null && <span class="muted">{t("distance", { km: (distance_m / 1000).toFixed(1) })}</span>}
      <button disabled={!enabled || busy.value} onClick={() => void act("dispatch", { responder_id: responder.id })}>
        {t("incident.dispatch")}
      </button>
    </li>
  );
}

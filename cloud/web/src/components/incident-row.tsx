/** One incident in the queue: colour, shape and text all tell its priority. */

import { now } from "../data/now";
import type { IncidentSummary } from "../data/types";
import { age, causeText, code, homeName, person } from "../i18n";

interface Props {
  incident: IncidentSummary;
  selected: boolean;
  /** `byKey`: not with a pointer. */
  onSelect: (byKey: boolean) => void;
}

export function IncidentRow({ incident, selected, onSelect }: Props) {
  const { priority, state, resident, home } = incident;
  const waiting = state === "new";
  const look = incident.class === "technical" ? "technical" : priority;
  return (
    <li>
      <button
        class={`row row-${look} ${waiting ? "row-waiting" : ""}`}
        aria-current={selected ? "true" : undefined}
        onClick={(e) => onSelect(e.detail === 0)}
        data-testid="incident-row"
        data-incident={incident.id}
      >
        <PriorityMark priority={look} />
        <span class="row-main">
          <strong>
            {incident.cause ? causeText(incident.cause) : code("kind", incident.kind)}{" "}
            {incident.room && `· ${code("room", incident.room)}`} {incident.alarm_count > 1 && `×${incident.alarm_count}`}
          </strong>
          <span>
            {resident ? person(resident) : homeName(home.id)}
            {home.sub_district && ` · ${code("district", home.sub_district)}`}
          </span>
        </span>
        <span class="row-side">
          <span class={`state state-${state}`}>{code("state", state)}</span>
          <time>{age(incident.opened_at, now.value)}</time>
          {incident.claimed_by && <span>{incident.claimed_by.name}</span>}
        </span>
      </button>
    </li>
  );
}

/** Triangle, diamond, circle, square: told apart without colour. */
export function PriorityMark({ priority }: { priority: string }) {
  const shapes: Record<string, string> = {
    high: "M10 1 L19 18 H1 Z",
    medium: "M10 1 L19 10 L10 19 L1 10 Z",
    low: "M10 2 a8 8 0 1 0 .01 0 Z",
    technical: "M3 3 H17 V17 H3 Z",
  };
  return (
    <svg class={`mark mark-${priority}`} viewBox="0 0 20 20" width="20" height="20" role="img" aria-label={code("priority", priority)}>
      <path d={shapes[priority] ?? shapes["low"]} />
    </svg>
  );
}

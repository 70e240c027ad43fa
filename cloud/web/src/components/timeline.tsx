/** The incident's event log, newest first: the one history every view is fed from. */

import type { IncidentDetail, LogEvent } from "../data/types";
import { causeText, clock, code, t } from "../i18n";

/** Their texts are names. */
const TO_PEOPLE = ["escalated", "already_told"];
const OF_ALARMS = ["opened", "alarm_attached", "alarm_escalated", "alarm_evidence"];

export function Timeline({ incident }: { incident: IncidentDetail }) {
  return (
    <section class="panel">
      <h2>{t("incident.timeline")}</h2>
      <ol class="timeline" data-testid="timeline">
        {[...incident.events].reverse().map((event) => (
          <li key={event.position} class={`event event-${event.kind}`}>
            <time>{clock(event.at)}</time>
            <span>
              <strong>{code("event", event.kind)}</strong> <span class="muted">{event.actor_name}</span>
              {event.text && <span class="event-text">{said(event, incident.cause)}</span>}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

/** What an entry says: whom the home told, by what way and what became of it; how many homes are offline; why nobody was
 * told; a cause, an alarm's kind, or what somebody wrote. */
function said({ kind, text, told }: LogEvent, cause: string): string {
  if (told) {
    const what = told.what === "alarm" ? [] : [code("told", told.what)];
    return [told.who, ...what, code("channel", told.channel), code("told", told.outcome)].join(" · ");
  }
  if (kind === "outage_grew") return t("timeline.offline", { n: text });
  if (kind === "nobody_to_tell") return code("shortfall", text);
  if (TO_PEOPLE.includes(kind)) return text.split("、").join(t("and"));
  if (text === cause) return causeText(text);
  return OF_ALARMS.includes(kind) ? code("kind", text) : text;
}

/** One incident in full, in the order an operator needs it: who and where, what to do, what was seen, what happened. */

import { act, failure } from "../data/incidents";
import { me } from "../data/session";
import { now } from "../data/now";
import type { IncidentDetail } from "../data/types";
import { causeText, clock, code, duration, homeName, outageArea, PLATFORM, t } from "../i18n";
import { Actions } from "./actions";
import { BackButton } from "./back-button";
import { Dispatching } from "./dispatching";
import { EvidencePanel } from "./evidence";
import { PriorityMark } from "./incident-row";
import { Contacts } from "./contacts";
import { Notes } from "./notes";
import { OutageHomes } from "./outage-homes";
import { Timeline } from "./timeline";
import { Trouble } from "./trouble";
import { Vitals } from "./vitals";

export function IncidentView({ incident, onBack }: { incident: IncidentDetail; onBack: () => void }) {
  const mine = incident.claimed_by?.id === me.value?.id;
  const ofPlatform = incident.home.id === PLATFORM;
  return (
    <section class="incident-view" data-testid="incident">
      <BackButton onClick={onBack} />
      <Head incident={incident} />
      <Actions incident={incident} mine={mine} act={act} />
      <Trouble problem={failure.value} />
      <div class="columns">
        <div>
          {outageArea(incident.cause) && <OutageHomes incidentId={incident.id} />}
          {incident.alarms.length > 0 && <EvidencePanel alarms={incident.alarms} />}
          {!ofPlatform && <Vitals homeId={incident.home.id} at={incident.opened_at} />}
          <Notes disabled={incident.state === "closed"} />
        </div>
        <div>
          <Dispatching incident={incident} mine={mine} />
          {!ofPlatform && <Contacts incident={incident} />}
          <Timeline incident={incident} />
        </div>
      </div>
    </section>
  );
}

function Head({ incident }: { incident: IncidentDetail }) {
  const { resident, home } = incident;
  const look = incident.class === "technical" ? "technical" : incident.priority;
  const raisedByCloud = incident.alarms.some((a) => a.raised_by === "cloud");
  return (
    <div class={`incident-head head-${look}`} tabIndex={-1}>
      <h1>
        <span>
          <PriorityMark priority={look} /> {incident.cause ? causeText(incident.cause) : code("kind", incident.kind)}
          {incident.room && ` · ${code("room", incident.room)}`}
        </span>
        <span class={`state state-${incident.state}`}>{code("state", incident.state)}</span>
      </h1>
      <p class="who">
        {resident && (
          <>
            <strong>{resident.name}</strong> {code("sex", resident.sex)} {t("years", { n: resident.age })}
            {resident.phone && <a href={`tel:${resident.phone}`}>☎ {resident.phone}</a>}
          </>
        )}
        <span>{home.id === PLATFORM ? homeName(home.id) : home.address}</span>
      </p>
      <p class="muted">
        {incident.state === "new" ? t("incident.waiting", { age: duration(incident.opened_at, now.value) }) : <Owner incident={incident} />}
        {incident.condition_cleared_at && <span class="tag">{t("incident.cleared")}</span>}
        {raisedByCloud && <span class="tag tag-warn">{t("incident.raisedByCloud")}</span>}
      </p>
      <dl class="facts">
        {incident.conditions && <Fact name={t("incident.conditions")} value={incident.conditions} />}
        {incident.access_note && <Fact name={t("incident.access")} value={incident.access_note} />}
      </dl>
    </div>
  );
}

function Owner({ incident }: { incident: IncidentDetail }) {
  if (incident.closed_at != null) return <>{t("incident.closedAt", { at: clock(incident.closed_at) })}</>;
  if (!incident.claimed_by) return <>{t("incident.unclaimed")}</>;
  if (incident.claimed_by.id === me.value?.id) return <>{t("incident.claimedByYou")}</>;
  return <>{t("incident.claimedBy", { name: incident.claimed_by.name })}</>;
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

/** What can be done with an incident now; closing and taking over ask for their reason first. */

import { useState } from "preact/hooks";
import { type Action, busy } from "../data/incidents";
import type { IncidentDetail } from "../data/types";
import { code, t } from "../i18n";

const OUTCOMES = {
  life: ["real_fall", "real_emergency", "false_alarm", "cancelled_by_resident", "test", "other"],
  technical: ["technical_fixed", "false_alarm", "test", "other"],
} as const;

interface Props {
  incident: IncidentDetail;
  mine: boolean;
  act: (action: Action, body?: Record<string, unknown>) => Promise<boolean>;
}

export function Actions({ incident, mine, act }: Props) {
  const [asking, setAsking] = useState<"close" | "takeover" | null>(null);
  const { state } = incident;
  if (state === "closed") {
    return (
      <p class="actions">
        <span class="tag">{code("outcome", incident.outcome ?? "other")}</span>
      </p>
    );
  }
  if (asking === "close") return <CloseForm incident={incident} act={act} done={() => setAsking(null)} />;
  if (asking === "takeover") return <TakeoverForm act={act} done={() => setAsking(null)} />;
  return (
    <div class="actions">
      {!incident.claimed_by && (
        <button class="primary large" disabled={busy.value} onClick={() => void act("claim")}>
          {t("incident.claim")}
        </button>
      )}
      {incident.claimed_by && !mine && (
        <button disabled={busy.value} onClick={() => setAsking("takeover")}>
          {t("incident.takeover")}
        </button>
      )}
      {mine && (
        <>
          {(state === "dispatched" || state === "on_scene") && (
            <button disabled={busy.value} onClick={() => void act("resolve")}>
              {t("incident.resolve")}
            </button>
          )}
          {state === "claimed" && (
            <button disabled={busy.value} onClick={() => void act("release")}>
              {t("incident.release")}
            </button>
          )}
          <button class="primary" disabled={busy.value} onClick={() => setAsking("close")}>
            {t("incident.close")}
          </button>
        </>
      )}
    </div>
  );
}

function CloseForm({ incident, act, done }: { incident: IncidentDetail; act: Props["act"]; done: () => void }) {
  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    if (await act("close", { outcome: form.get("outcome"), note: String(form.get("note") ?? "") })) done();
  }
  return (
    <form class="actions ask" onSubmit={submit}>
      <fieldset>
        <legend>{t("close.outcome")}</legend>
        {OUTCOMES[incident.class as "life" | "technical"].map((outcome) => (
          <label class="choice" key={outcome}>
            <input type="radio" name="outcome" value={outcome} required /> {code("outcome", outcome)}
          </label>
        ))}
      </fieldset>
      <label>
        {t("close.note")}
        <textarea name="note" rows={2} maxLength={1000} />
      </label>
      <button class="primary" type="submit" disabled={busy.value}>
        {t("close.confirm")}
      </button>
      <button type="button" onClick={done}>
        {t("close.cancel")}
      </button>
    </form>
  );
}

function TakeoverForm({ act, done }: { act: Props["act"]; done: () => void }) {
  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    if (await act("takeover", { reason: String(form.get("reason")) })) done();
  }
  return (
    <form class="actions ask" onSubmit={submit}>
      <label>
        {t("takeover.reason")}
        <input name="reason" required minLength={2} maxLength={200} />
      </label>
      <button class="primary" type="submit" disabled={busy.value}>
        {t("takeover.confirm")}
      </button>
      <button type="button" onClick={done}>
        {t("close.cancel")}
      </button>
    </form>
  );
}

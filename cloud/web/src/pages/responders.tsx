/** Who is on duty where. */

import { Trouble } from "../components/trouble";
import { useLoaded } from "../data/loaded";
import { now } from "../data/now";
import type { Responder } from "../data/types";
import { age, code, t } from "../i18n";

const REFRESH_MS = 30_000;

export function RespondersPage() {
  const { value: responders, problem } = useLoaded<readonly Responder[]>("/responders", { everyMs: REFRESH_MS });
  return (
    <div class="table-page">
      <Trouble problem={problem} />
      {!responders && !problem && <p class="empty">{t("incident.loading")}</p>}
      {responders?.length === 0 && <p class="empty">{t("responders.none")}</p>}
      {responders && responders.length > 0 && <Table responders={responders} />}
    </div>
  );
}

function Table({ responders }: { responders: readonly Responder[] }) {
  return (
    <table class="stacked">
      <thead>
        <tr>
          <th>{t("responders.name")}</th>
          <th>{t("responders.role")}</th>
          <th>{t("responders.district")}</th>
          <th>{t("responders.duty")}</th>
          <th>{t("responders.phone")}</th>
          <th>{t("responders.located")}</th>
        </tr>
      </thead>
      <tbody>
        {responders.map((r) => (
          <tr key={r.id} class={r.on_duty ? "" : "ineligible"}>
            <td>
              <strong>{r.name}</strong>
            </td>
            <td>{code("role", r.role)}</td>
            <td>{code("district", r.sub_district)}</td>
            <td>
              <span class={`tag ${r.on_duty ? "tag-good" : ""}`}>
                {t(r.on_duty ? "responders.onDuty" : "responders.offDuty")}
              </span>
            </td>
            <td class="phone">
              <a href={`tel:${r.phone}`}>{r.phone}</a>
            </td>
            <td class={r.located_at == null ? "muted none" : "muted"}>{r.located_at == null ? code("reason", "no_location") : age(r.located_at, now.value)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

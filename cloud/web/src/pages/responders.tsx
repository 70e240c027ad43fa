/** Who is on duty where. */

import { useEffect, useState } from "preact/hooks";
import { get } from "../data/http";
import { now } from "../data/now";
import type { Responder } from "../data/types";
import { age, code, t } from "../i18n";

export function RespondersPage() {
  const [responders, setResponders] = useState<readonly Responder[]>([]);
  useEffect(() => {
    void get<Responder[]>("/responders").then(setResponders, () => undefined);
  }, []);
  return (
    <div class="table-page">
      <table>
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
              <td>
                <a href={`tel:${r.phone}`}>{r.phone}</a>
              </td>
              <td class="muted">{r.located_at != null && age(r.located_at, now.value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {responders.length === 0 && <p class="empty">{t("incident.noCandidates")}</p>}
    </div>
  );
}

/** Family contacts and what has been sent to whom, with what became of each message. */

import type { IncidentDetail } from "../data/types";
import { clock, code, t } from "../i18n";

export function Contacts({ incident }: { incident: IncidentDetail }) {
  return (
    <section class="panel">
      <h2>{t("incident.contacts")}</h2>
      <ul class="people">
        {incident.contacts.map((c) => (
          <li key={c.id}>
            <strong>{c.name}</strong> <span class="muted">{c.relation}</span>
            {c.phone && <a href={`tel:${c.phone}`}>☎ {c.phone}</a>}
          </li>
        ))}
      </ul>
      {incident.contacts.length === 0 && <p class="empty">{t("incident.noContacts")}</p>}
      <h2>{t("incident.notifications")}</h2>
      <ul class="people" data-testid="notifications">
        {incident.notifications.map((n) => (
          <li key={n.id}>
            <span>
              {n.recipient_name} <small class="muted">{n.text}</small>
            </span>
            <span class={`tag message-${n.state}`}>{code("message", n.state)}</span>
            <time class="muted">{clock(n.delivered_at ?? n.sent_at ?? n.created_at)}</time>
          </li>
        ))}
      </ul>
      {incident.notifications.length === 0 && <p class="empty">{t("incident.noNotifications")}</p>}
    </section>
  );
}

/** What the operator writes down during the call. */

import { useState } from "preact/hooks";
import { act, busy } from "../data/incidents";
import { t } from "../i18n";

export function Notes({ disabled }: { disabled: boolean }) {
  const [text, setText] = useState("");
  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (await act("notes", { text: text.trim() })) setText("");
  }
  if (disabled) return null;
  return (
    <form class="panel notes" onSubmit={submit}>
      <h2>{t("incident.note")}</h2>
      <textarea
        value={text}
        onInput={(e) => setText(e.currentTarget.value)}
        rows={2}
        maxLength={1000}
        placeholder={t("incident.notePlaceholder")}
        aria-label={t("incident.note")}
      />
      <button type="submit" disabled={busy.value || text.trim() === ""}>
        {t("incident.addNote")}
      </button>
    </form>
  );
}

/** Quarantine: what was refused and why; read it, store it again after a fix, or discard it with a reason. */

import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useState } from "preact/hooks";
import { get, post } from "../data/http";
import type { Discarded, HeldMessage, HeldPayload, Replayed } from "../data/types";
import { clock, code, t } from "../i18n";
import { Original, Refusals } from "./refusals";
import { troubleText } from "./trouble";

const STATES = ["held", "replayed", "discarded", "all"] as const;
const SHOWN = 200;
const TYPING_PAUSE_MS = 250;

export function HeldMessages() {
  const [state, setState] = useState<(typeof STATES)[number]>("held");
  const [gateway, setGateway] = useState("");
  const [entries, setEntries] = useState<readonly HeldMessage[] | null>(null);
  const [chosen, setChosen] = useState<ReadonlySet<number>>(new Set());
  const [open, setOpen] = useState<number | null>(null);
  const [said, setSaid] = useState<ComponentChildren>("");
  const reload = useCallback(async () => {
    const query = new URLSearchParams({ state, limit: String(SHOWN) });
    if (gateway.trim()) query.set("gateway", gateway.trim());
    try {
      setEntries(await get<HeldMessage[]>(`/quarantine?${query}`));
    } catch (problem) {
      setSaid(troubleText(problem));
    }
  }, [state, gateway]);
  useEffect(() => {
    setChosen(new Set());
    setSaid("");
    const timer = window.setTimeout(() => void reload(), TYPING_PAUSE_MS);
    return () => window.clearTimeout(timer);
  }, [reload]);
  const settled = async (words: ComponentChildren) => {
    setSaid(words);
    setChosen(new Set());
    await reload();
  };
  const toggle = (id: number) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const held = entries?.filter((e) => e.state === "held") ?? [];
  return (
    <section class="panel held" data-testid="quarantine">
      <h2>{t("quarantine.title")}</h2>
      <div class="actions">
        <select aria-label={t("quarantine.state")} value={state} onChange={(e) => setState(e.currentTarget.value as typeof state)}>
          {STATES.map((s) => (
            <option value={s} key={s}>
              {t(`quarantine.${s}`)}
            </option>
          ))}
        </select>
        <input
          type="search"
          placeholder={t("quarantine.gateway")}
          aria-label={t("quarantine.gateway")}
          value={gateway}
          maxLength={63}
          onInput={(e) => setGateway(e.currentTarget.value)}
        />
        <Settle ids={[...chosen]} onDone={settled} />
      </div>
      {said && <div role="status">{said}</div>}
      {entries === null && !said && <p class="muted">{t("incident.loading")}</p>}
      {entries?.length === 0 && <p class="empty">{t("quarantine.empty")}</p>}
      {entries && entries.length > 0 && (
        <table class="stacked">
          <thead>
            <tr>
              <th>
                <label>
                  <input
                    type="checkbox"
                    aria-label={t("quarantine.all_shown")}
                    disabled={held.length === 0}
                    checked={held.length > 0 && chosen.size === held.length}
                    onChange={(e) => setChosen(new Set(e.currentTarget.checked ? held.map((h) => h.id) : []))}
                  />
                  <span class="narrow">{t("quarantine.all_shown")}</span>
                </label>
              </th>
              <th>{t("quarantine.received")}</th>
              <th>{t("quarantine.sender")}</th>
              <th>{t("quarantine.reason")}</th>
              <th>{t("quarantine.detail")}</th>
            </tr>
          </thead>
          <tbody>
            {entries.map((e) => (
              <Entry key={e.id} entry={e} chosen={chosen.has(e.id)} open={open === e.id} onChoose={toggle} onOpen={setOpen} />
            ))}
          </tbody>
        </table>
      )}
      {entries && entries.length === SHOWN && <p class="muted">{t("quarantine.more", { n: SHOWN })}</p>}
    </section>
  );
}

interface SettleProps {
  readonly ids: number[];
  readonly onDone: (words: ComponentChildren) => Promise<void>;
}

/** Replay and discard of the chosen entries; discarding asks for a reason first. */
function Settle({ ids, onDone }: SettleProps) {
  const [asking, setAsking] = useState(false);
  const [note, setNote] = useState("");
  const [busy, setBusy] = useState(false);
  const run = async (job: () => Promise<ComponentChildren>) => {
    setBusy(true);
    try {
      await onDone(await job());
      setAsking(false);
      setNote("");
    } catch (problem) {
      await onDone(troubleText(problem));
    } finally {
      setBusy(false);
    }
  };
  const replay = async () => {
    const done = await post<Replayed>("/quarantine/replay", { ids });
    return (
      <>
        {t("quarantine.replayedNow", { n: done.replayed.length })} <Refusals refused={done.refused} />
      </>
    );
  };
  const discard = async () =>
    t("quarantine.discardedNow", { n: (await post<Discarded>("/quarantine/discard", { ids, note: note.trim() })).discarded });
  if (asking)
    return (
      <form
        class="discarding"
        onSubmit={(e) => {
          e.preventDefault();
          void run(discard);
        }}
      >
        <input
          aria-label={t("quarantine.why")}
          placeholder={t("quarantine.why")}
          value={note}
          maxLength={500}
          required
          autoFocus
          onInput={(e) => setNote(e.currentTarget.value)}
        />
        <button class="danger" disabled={busy || !note.trim() || ids.length === 0}>
          {t("quarantine.discardN", { n: ids.length })}
        </button>
        <button type="button" class="quiet" onClick={() => setAsking(false)}>
          {t("close.cancel")}
        </button>
      </form>
    );
  return (
    <>
      <button class="primary" disabled={busy || ids.length === 0} onClick={() => void run(replay)}>
        {t("quarantine.replayN", { n: ids.length })}
      </button>
      <button disabled={busy || ids.length === 0} onClick={() => setAsking(true)}>
        {t("quarantine.discard")}
      </button>
    </>
  );
}

interface EntryProps {
  readonly entry: HeldMessage;
  readonly chosen: boolean;
  readonly open: boolean;
  readonly onChoose: (id: number) => void;
  readonly onOpen: (id: number | null) => void;
}

function Entry({ entry, chosen, open, onChoose, onOpen }: EntryProps) {
  return (
    <>
      <tr>
        <td>
          <input
            type="checkbox"
            aria-label={`#${entry.id}`}
            disabled={entry.state !== "held"}
            checked={chosen}
            onChange={() => onChoose(entry.id)}
          />
        </td>
        <td class="nowrap">{clock(entry.received_at)}</td>
        <td>{entry.gateway_id ?? entry.topic}</td>
        <td class="nowrap">{code("refused", entry.reason)}</td>
        <td>
          <Original words={entry.detail} />
          <button class="quiet link" aria-expanded={open} onClick={() => onOpen(open ? null : entry.id)}>
            {t(open ? "quarantine.hide" : "quarantine.show")}
          </button>
          {entry.state !== "held" && (
            <small>
              {code("quarantine", entry.state)}
              {entry.settled_at != null && ` · ${clock(entry.settled_at)}`}
              {entry.settled_by_name && ` · ${entry.settled_by_name}`}
              {entry.note && ` · ${entry.note}`}
            </small>
          )}
        </td>
      </tr>
      {open && (
        <tr class="whole">
          <td colSpan={5}>
            <Payload id={entry.id} />
          </td>
        </tr>
      )}
    </>
  );
}

function Payload({ id }: { id: number }) {
  const [found, setFound] = useState<HeldPayload | null>(null);
  const [said, setSaid] = useState("");
  useEffect(() => {
    void get<HeldPayload>(`/quarantine/${id}`).then(setFound, (problem: unknown) => setSaid(troubleText(problem)));
  }, [id]);
  if (said) return <p class="muted">{said}</p>;
  if (!found) return <p class="muted">{t("incident.loading")}</p>;
  return (
    <>
      <p class="muted">
        {found.topic} · {t("quarantine.bytes", { n: found.size })}
        {found.seq != null && ` · ${t("quarantine.sequence", { lane: code("lane", found.lane ?? "live"), n: found.seq })}`}
      </p>
      <pre class="payload">{found.payload}</pre>
    </>
  );
}

/** What could not be stored again: how many for each reason, the most frequent first, each with one example. */

import type { Replayed } from "../data/types";
import { code, t } from "../i18n";

type Refused = Replayed["refused"];

export function Refusals({ refused }: { refused: Refused }) {
  const count = Object.keys(refused).length;
  if (count === 0) return null;
  return (
    <>
      {t("quarantine.stillRefused", { n: count })}
      <ul class="refusals">
        {byReason(refused).map(({ reason, n, id, detail }) => (
          <li key={reason}>
            <strong>{t("quarantine.refusedFor", { reason: code("refused", reason), n })}</strong>
            <Original words={detail} id={id} />
          </li>
        ))}
      </ul>
    </>
  );
}

interface Group {
  readonly reason: string;
  /** How many, and the first of them. */
  readonly n: number;
  readonly id: string;
  readonly detail: string;
}

function byReason(refused: Refused): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const [id, { reason, detail }] of Object.entries(refused)) {
    const known = groups.get(reason);
    groups.set(reason, known ? { ...known, n: known.n + 1 } : { reason, n: 1, id, detail });
  }
  return [...groups.values()].sort((a, b) => b.n - a.n);
}

/** The server's own words, which are English: for whoever looks into it, below the reason in the operator's language. */
export function Original({ words, id }: { words: string; id?: string }) {
  return (
    <small class="original">
      {t("quarantine.original")} <q lang="en">{words}</q>
      {id && ` (#${id})`}
    </small>
  );
}

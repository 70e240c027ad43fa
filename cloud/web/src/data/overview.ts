/** Figures of the moment for the top bar, fetched every few seconds while somebody looks. */

import { signal } from "@preact/signals";
import { get } from "./http";
import { me } from "./session";
import type { Overview } from "./types";

const EVERY_MS = 10_000;

export const overview = signal<Overview | null>(null);

async function refresh(): Promise<void> {
  if (!me.value || document.hidden) return;
  overview.value = await get<Overview>("/overview").catch(() => overview.value);
}

me.subscribe(() => void refresh());
window.setInterval(() => void refresh(), EVERY_MS);

/** Open incidents by id, patched in place by the event stream; what one incident looks like in full; what can be done. */

import { computed, signal } from "@preact/signals";
import { ApiProblem, get, post } from "./http";
import type { Candidate, IncidentDetail, IncidentSummary } from "./types";

export const incidents = signal<ReadonlyMap<string, IncidentSummary>>(new Map());
export const selectedId = signal<string | null>(null);
export const detail = signal<IncidentDetail | null>(null);
/** null while they are asked for. */
export const candidates = signal<readonly Candidate[] | null>(null);
export const failure = signal<ApiProblem | null>(null);
export const busy = signal(false);
/** The incident that has last got a further alarm while somebody holds it. */
export const grown = signal<IncidentSummary | null>(null);

const RANK = { high: 0, medium: 1, low: 2 } as Record<string, number>;

/** Unclaimed first, then by priority, then the oldest first. */
function byUrgency(a: IncidentSummary, b: IncidentSummary): number {
  const unclaimed = Number(b.state === "new") - Number(a.state === "new");
  return unclaimed || (RANK[a.priority] ?? 3) - (RANK[b.priority] ?? 3) || a.opened_at - b.opened_at;
}

const open = computed(() => [...incidents.value.values()].filter((i) => i.state !== "closed").sort(byUrgency));
export const lifeQueue = computed(() => open.value.filter((i) => i.class === "life"));
export const technicalQueue = computed(() => open.value.filter((i) => i.class === "technical"));
export const unclaimedLife = computed(() => lifeQueue.value.filter((i) => i.state === "new"));
export const newestUnclaimed = computed(() =>
  unclaimedLife.value.reduce<IncidentSummary | null>((a, b) => (a && a.opened_at >= b.opened_at ? a : b), null),
);

/** Whether the server's list is here: until then the queue is not empty, but unknown. */
export const listed = signal(false);

/** What the stream told while a list is on its way: the list may be older than that. */
let meanwhile: IncidentSummary[] | null = null;
let asked = 0;

/** Replace everything by what the server has open; of several at a time only the last one counts. */
export async function reload(): Promise<void> {
  const ask = ++asked;
  listed.value = false;
  meanwhile = [];
  try {
    const list = await get<IncidentSummary[]>("/incidents?state=open");
    if (ask !== asked) return;
    incidents.value = new Map(list.map((i) => [i.id, i]));
    meanwhile.forEach(put);
    listed.value = true;
  } finally {
    if (ask === asked) meanwhile = null;
  }
  if (selectedId.value) await loadDetail(selectedId.value);
}

/** Ask again for a list that could not be had. */
export function ensureListed(): void {
  if (!listed.value && meanwhile === null) void reload().catch(() => undefined);
}

/** Take one change from the stream. */
export function patch(incident: IncidentSummary): void {
  meanwhile?.push(incident);
  if (put(incident) && incident.id === selectedId.value) void loadDetail(incident.id);
}

/** Show an incident, unless what is shown is newer; whether it is shown. */
function put(incident: IncidentSummary): boolean {
  const known = incidents.value.get(incident.id);
  if (known && known.version > incident.version) return false;
  incidents.value = new Map(incidents.value).set(incident.id, incident);
  const more = known !== undefined && incident.alarm_count > known.alarm_count;
  if (more && incident.class === "life" && incident.state !== "new") grown.value = incident;
  return true;
}

export async function select(id: string): Promise<void> {
  selectedId.value = id;
  failure.value = null;
  if (detail.value?.id !== id) {
    detail.value = null;
    candidates.value = null;
  }
  await loadDetail(id);
}

export function unselect(): void {
  selectedId.value = null;
  detail.value = null;
  candidates.value = null;
  failure.value = null;
}

async function loadDetail(id: string): Promise<void> {
  try {
    const loaded = await get<IncidentDetail>(`/incidents/${id}`);
    if (selectedId.value === id) show(loaded);
    const ranked = await get<Candidate[]>(`/incidents/${id}/responders`);
    if (selectedId.value === id) candidates.value = ranked;
  } catch (error) {
    report(error);
  }
}

function show(loaded: IncidentDetail): void {
  if (detail.value?.id === loaded.id && detail.value.version > loaded.version) return;
  detail.value = loaded;
}

export type Action = "claim" | "renew" | "release" | "takeover" | "dispatch" | "resolve" | "close" | "notes";

/** Do something to the selected incident; a conflict reloads it, so that the operator decides on what is true now. */
export async function act(action: Action, body: Record<string, unknown> = {}): Promise<boolean> {
  const incident = detail.value;
  if (incident === null) return false;
  busy.value = true;
  failure.value = null;
  try {
    show(await post<IncidentDetail>(`/incidents/${incident.id}/${action}`, { version: incident.version, ...body }));
    return true;
  } catch (error) {
    report(error);
    await loadDetail(incident.id);
    return false;
  } finally {
    busy.value = false;
  }
}

function report(error: unknown): void {
  if (!(error instanceof ApiProblem)) throw error;
  failure.value = error;
}

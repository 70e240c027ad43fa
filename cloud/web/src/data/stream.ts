/** The event stream: resumes by itself, and says so when the server has been silent too long. */

import { computed, signal } from "@preact/signals";
import { ensureListed, patch, reload } from "./incidents";
import { now, serverTime } from "./now";
import { restore } from "./session";
import type { IncidentSummary } from "./types";

const SILENT_AFTER_S = 12;
const RETRY_MS = 2_000;

const connected = signal(false);
/** Local seconds (performance clock) of the last sign of life. */
export const lastHeard = signal<number | null>(null);

export type StreamState = "connecting" | "live" | "lost";

export const streamState = computed<StreamState>(() => {
  const heard = lastHeard.value;
  void now.value;
  if (heard === null) return connected.value ? "live" : "connecting";
  return connected.value && performance.now() / 1000 - heard < SILENT_AFTER_S ? "live" : "lost";
});

let source: EventSource | null = null;
let retry: number | undefined;

/** Open a stream; the list is asked for once it runs, so that nothing can happen between the two. */
export function openStream(): void {
  closeStream();
  let running = false;
  source = new EventSource("/api/v1/events");
  source.onopen = () => {
    heard();
    void restore().catch(() => undefined); // a stream ends when its operator is given another sub-district
  };
  source.onerror = () => {
    connected.value = false;
    if (source?.readyState === EventSource.CLOSED) {
      window.clearTimeout(retry);
      retry = window.setTimeout(() => void refreshAndOpen(), RETRY_MS);
    }
  };
  source.addEventListener("ping", (event) => {
    heard();
    serverTime((JSON.parse(event.data) as { at: number }).at);
    if (running) ensureListed();
    else void reload().catch(() => undefined);
    running = true;
  });
  source.addEventListener("incident", (event) => {
    heard();
    patch((JSON.parse(event.data) as { incident: IncidentSummary }).incident);
  });
  source.addEventListener("reset", () => void reload().catch(() => undefined));
}

export function closeStream(): void {
  window.clearTimeout(retry);
  source?.close();
  source = null;
  connected.value = false;
}

async function refreshAndOpen(): Promise<void> {
  await reload().catch(() => undefined);
  openStream();
}

function heard(): void {
  connected.value = true;
  lastHeard.value = performance.now() / 1000;
}

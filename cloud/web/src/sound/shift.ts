/** The operator's shift: unlocks audio by a click, then sounds for as long as a life incident is unclaimed. */

import { effect, signal } from "@preact/signals";
import { PATTERNS, playBurst, type SoundPriority } from "./pulses";

export type { SoundPriority };
export const PRIORITIES: readonly SoundPriority[] = ["high", "medium", "low"];

export type AudioState = "off" | "running" | "blocked";

export const audioState = signal<AudioState>("off");
/** Priority of the most urgent unclaimed incident, or null for silence. Keyed on incidents, not on messages. */
export const toSound = signal<SoundPriority | null>(null);

let context: AudioContext | null = null;
let timer: number | undefined;

/** Must be called from a click: browsers start audio only then. Plays a short test tone. */
export async function startShift(): Promise<void> {
  context ??= new AudioContext();
  context.onstatechange = readState;
  await context.resume();
  readState();
  playBurst(context, "low");
}

/** One burst, for what nobody has to be called to but somebody must hear. */
export function soundOnce(priority: SoundPriority): void {
  if (context?.state === "running") playBurst(context, priority);
}

export function endShift(): void {
  if (context) context.onstatechange = null;
  void context?.suspend();
  audioState.value = "off";
}

function readState(): void {
  audioState.value = context?.state === "running" ? "running" : "blocked";
}

effect(() => {
  const priority = toSound.value;
  const on = audioState.value === "running";
  window.clearTimeout(timer);
  if (priority === null || !on) return;
  const again = () => {
    if (context?.state === "running") playBurst(context, priority);
    timer = window.setTimeout(again, PATTERNS[priority].period * 1000);
  };
  again();
});

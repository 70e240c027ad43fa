/** Alarm sounds after IEC 60601-1-8: high two bursts of five pulses, medium three pulses, low one. */

export type SoundPriority = "high" | "medium" | "low";

interface Pattern {
  /** Start of each pulse in seconds from the start of the burst. */
  readonly pulses: readonly number[];
  readonly pulseLength: number;
  readonly frequency: number;
  /** Seconds from one burst's start to the next. */
  readonly period: number;
}

const FIVE = [0, 0.2, 0.4, 0.75, 0.95];

export const PATTERNS: Record<SoundPriority, Pattern> = {
  high: { pulses: [...FIVE, ...FIVE.map((s) => s + 1.7)], pulseLength: 0.14, frequency: 660, period: 5.8 },
  medium: { pulses: [0, 0.4, 0.8], pulseLength: 0.2, frequency: 520, period: 4.4 },
  low: { pulses: [0], pulseLength: 0.25, frequency: 390, period: 17 },
};

/** Play one burst now; harmonics let it be located and heard by older ears. */
export function playBurst(context: AudioContext, priority: SoundPriority): void {
  const { pulses, pulseLength, frequency } = PATTERNS[priority];
  const start = context.currentTime + 0.02;
  for (const offset of pulses) {
    const gain = context.createGain();
    gain.gain.setValueAtTime(0, start + offset);
    gain.gain.linearRampToValueAtTime(0.25, start + offset + 0.02);
    gain.gain.setValueAtTime(0.25, start + offset + pulseLength - 0.03);
    gain.gain.linearRampToValueAtTime(0, start + offset + pulseLength);
    gain.connect(context.destination);
    for (const harmonic of [1, 2, 3, 4]) {
      const tone = context.createOscillator();
      const level = context.createGain();
      level.gain.value = 1 / (harmonic + 1);
      tone.frequency.value = frequency * harmonic;
      tone.connect(level).connect(gain);
      tone.start(start + offset);
      tone.stop(start + offset + pulseLength);
    }
  }
}

/** Texts in the operator's language; unknown codes (a newer server) show as they are instead of breaking the page. */

import { effect, signal } from "@preact/signals";
import { en } from "./en";
import { type Key, zh } from "./zh";

export type { Key };
export type Lang = "zh" | "en";

const STORED = "anju.lang";

export const lang = signal<Lang>(localStorage.getItem(STORED) === "en" ? "en" : "zh");

effect(() => {
  localStorage.setItem(STORED, lang.value);
  document.documentElement.lang = lang.value === "zh" ? "zh-CN" : "en";
  document.title = t("app.name");
});

type Values = Record<string, string | number>;

export function t(key: Key, values: Values = {}): string {
  const text = (lang.value === "zh" ? zh : en)[key];
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
}

/** Text of a code that came from the server, e.g. `code("kind", "fall")`. */
export function code(group: string, value: string): string {
  const key = `${group}.${value}`;
  return key in zh ? t(key as Key) : value.replaceAll("_", " ");
}

/** Name of a number in an alarm's evidence: one of its own, a vital sign or metric, the score or drift of one. */
export function numberName(name: string): string {
  if (`number.${name}` in zh) return code("number", name);
  const scored = name.match(/^(\w+)_score$/)?.[1];
  if (scored) return t("number.score_of", { metric: measured(scored) });
  const missing = name.match(/^(\w+)_missing$/)?.[1];
  if (missing) return t("number.missing_of", { metric: measured(missing) });
  const stale = name.match(/^(\w+)_stale_s$/)?.[1];
  if (stale) return t("number.stale_of", { metric: measured(stale) });
  const drifts = name.match(/^drift_(\w+)$/)?.[1];
  if (drifts) return t("number.drift_of", { metric: measured(drifts) });
  return measured(name);
}

const measured = (name: string): string => code(`sign.${name}` in zh ? "sign" : "metric", name);

/** What is wrong, of a technical incident: its cause, and what that names behind a colon (device, district, role). */
export function causeText(cause: string): string {
  const [kind = "", detail = ""] = cause.split(":", 2);
  const named = kind === "area_outage" ? code("district", detail) : kind === "role_down" ? code("role", detail) : detail;
  return named ? `${code("cause", kind)} · ${named}` : code("cause", kind);
}

/** The sub-district of an outage, "" of any other cause. */
export function outageArea(cause: string): string {
  return cause.startsWith("area_outage:") ? cause.slice("area_outage:".length) : "";
}

/** A home without a resident: the platform itself, or an id. */
export const PLATFORM = "platform";

export function homeName(id: string): string {
  return id === PLATFORM ? t("home.platform") : id;
}

/** A resident in one line: name and age. */
export function person({ name, age: years }: { name: string; age: number }): string {
  return `${name}${t("comma")}${t("years", { n: years })}`;
}

/** How long ago `at` (Unix seconds) was, seen from `now`. */
export function age(at: number, now: number): string {
  const s = Math.max(0, Math.round(now - at));
  if (s < 3) return t("age.now");
  if (s < 60) return t("age.seconds", { n: s });
  if (s < 3600) return t("age.minutes", { n: Math.floor(s / 60) });
  if (s < 86_400) return t("age.hours", { n: Math.floor(s / 3600) });
  return t("age.days", { n: Math.floor(s / 86_400) });
}

/** How long something has lasted since `at`, seen from `now`. */
export function duration(at: number, now: number): string {
  const s = Math.max(0, Math.round(now - at));
  if (s < 60) return t("span.seconds", { n: s });
  if (s < 3600) return t("span.minutes", { n: Math.floor(s / 60) });
  return t("span.hours", { n: Math.floor(s / 3600) });
}

const locale = (): string => (lang.value === "zh" ? "zh-CN" : "en-GB");

/** Wall-clock time of day of `at`, with the date when it was not today. */
export function clock(at: number): string {
  const date = new Date(at * 1000);
  const time = date.toLocaleTimeString(locale(), { hourCycle: "h23" });
  if (date.toDateString() === new Date().toDateString()) return time;
  const year = date.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" as const };
  return `${date.toLocaleDateString(locale(), { month: "short", day: "numeric", ...year })} ${time}`;
}

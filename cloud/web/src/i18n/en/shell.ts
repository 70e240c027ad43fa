/** The frame of every page: sign-in, top bar, shift, stream. */

import type { shell as zh } from "../zh/shell";

export const shell: Record<keyof typeof zh, string> = {
  "app.name": "Anju",
  "app.tagline": "Telecare for elders at home",
  "signin.login": "Login",
  "signin.password": "Password",
  "signin.submit": "Sign in",
  "signin.wrong": "Login or password is wrong",
  "signin.tooMany": "Too many attempts, please wait a moment",
  "signin.unreachable": "The server cannot be reached",
  "signout": "Sign out",
  "lang.other": "中文",
  "shift.start": "Start shift",
  "shift.end": "End shift",
  "shift.off": "Sound is off: press Start shift to hear alarms",
  "shift.blocked": "The browser paused the sound: press Start shift again",
  "stream.live": "Live",
  "stream.connecting": "Connecting…",
  "stream.lost": "Connection to the server is lost; this view may be out of date",
  "stream.since": "last update {age}",
  "nav.queue": "Incidents",
  "nav.homes": "Homes",
  "nav.responders": "Responders",
  "nav.platform": "Platform",
  "overview.open": "Open incidents",
  "overview.unclaimed": "Unclaimed",
  "overview.online": "Gateways online",
  "overview.responders": "On duty",
};

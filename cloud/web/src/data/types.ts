/** Short names for the API's own types; api-types.ts is generated from openapi.json at every build. */

import type { components } from "./api-types";

type Schemas = components["schemas"];

export type Me = Schemas["Me"];
export type IncidentSummary = Schemas["IncidentSummary"];
export type IncidentDetail = Schemas["IncidentDetail"];
export type LogEvent = IncidentDetail["events"][number];
export type Alarm = IncidentDetail["alarms"][number];
export type Evidence = Alarm["evidence"][number];
export type Candidate = Schemas["Candidate"];
export type OutageHome = Schemas["OutageHome"];
export type HeldMessage = Schemas["HeldMessage"];
export type HeldPayload = Schemas["HeldPayload"];
export type Replayed = Schemas["Replayed"];
export type Discarded = Schemas["Discarded"];
export type UnprotectedHome = Schemas["UnprotectedHome"];
export type Home = Schemas["HomeSummary"];
export type Series = Schemas["Series"];
export type Sample = Schemas["Sample"];
export type Overview = Schemas["Overview"];
export type Responder = Schemas["Responder"];

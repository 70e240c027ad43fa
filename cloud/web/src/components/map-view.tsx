/** The district on its own outlines, without a tile server: open incidents and the responders of the chosen one. */

import L from "leaflet";
import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { FeatureCollection, Polygon } from "geojson";
import { select } from "../data/incidents";
import type { IncidentDetail, IncidentSummary } from "../data/types";
import { code, lang, t } from "../i18n";
import outlines from "../map/sub-districts.json";

interface District {
  code: string;
  zh: string;
  en: string;
  lat: number;
  lon: number;
}

interface Props {
  incidents: readonly IncidentSummary[];
  selected: IncidentDetail | null;
}

const CLOSE_UP = 14;
/** Of an assignment that brings nobody any more. */
const GONE = ["declined", "stood_down"];

export function MapView({ incidents, selected }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const map = useRef<L.Map | null>(null);
  const markers = useRef<L.LayerGroup>(L.layerGroup());

  useEffect(() => {
    const created = createMap(host.current!);
    map.current = created;
    markers.current.addTo(created);
    const stop = effect(() => labelDistricts(created, lang.value));
    return () => {
      stop();
      created.remove();
    };
  }, []);

  useEffect(() => {
    markers.current.clearLayers();
    for (const incident of incidents) incidentMarker(incident, incident.id === selected?.id).addTo(markers.current);
    for (const a of selected?.assignments ?? []) {
      if (a.responder.lat != null && a.responder.lon != null && !GONE.includes(a.state)) {
        responderMarker(a.responder.lat, a.responder.lon, a.responder.name).addTo(markers.current);
      }
    }
  }, [incidents, selected, lang.value]);

  useEffect(() => {
    if (selected) map.current?.setView([selected.home.lat, selected.home.lon], CLOSE_UP);
  }, [selected?.id]);

  return <aside class="map" ref={host} aria-label={t("incident.map")} data-testid="map" />;
}

function createMap(element: HTMLElement): L.Map {
  const map = L.map(element, { zoomControl: true, attributionControl: false, zoomSnap: 0.25 });
  const districts = L.geoJSON(outlines as FeatureCollection<Polygon, District>, {
    style: { color: "#8a94a0", weight: 1.2, fillColor: "#eef1f4", fillOpacity: 1 },
    interactive: false,
  }).addTo(map);
  map.fitBounds(districts.getBounds().pad(0.02));
  L.control.scale({ imperial: false }).addTo(map);
  return map;
}

const labels = new WeakMap<L.Map, L.LayerGroup>();

function labelDistricts(map: L.Map, language: "zh" | "en"): void {
  labels.get(map)?.remove();
  const group = L.layerGroup(
    (outlines as FeatureCollection<Polygon, District>).features.map(({ properties: d }) =>
      L.marker([d.lat, d.lon], {
        interactive: false,
        icon: L.divIcon({ className: "district-label", html: `<span>${d[language]}</span>`, iconSize: [0, 0] }),
      }),
    ),
  ).addTo(map);
  labels.set(map, group);
}

function incidentMarker(incident: IncidentSummary, selected: boolean): L.Marker {
  const classes = `pin pin-${incident.priority} ${incident.state === "new" ? "pin-new" : ""} ${selected ? "pin-selected" : ""}`;
  return L.marker([incident.home.lat, incident.home.lon], {
    icon: L.divIcon({ className: classes, iconSize: [22, 22] }),
    title: `${code("kind", incident.kind)} · ${incident.resident?.name ?? incident.home.id}`,
    zIndexOffset: selected ? 1000 : 0,
  }).on("click", () => void select(incident.id));
}

function responderMarker(lat: number, lon: number, name: string): L.Marker {
  return L.marker([lat, lon], { icon: L.divIcon({ className: "pin pin-responder", iconSize: [18, 18] }), title: name });
}

/** The district on its own outlines, without a tile server: open life incidents, the chosen one and its responders. */

import L from "leaflet";
import { useEffect, useRef } from "preact/hooks";
import { select } from "../data/incidents";
import type { IncidentDetail, IncidentSummary } from "../data/types";
import { causeText, code, lang, outageArea, PLATFORM, t } from "../i18n";
import { boundsOf, drawDistricts, nameDistricts, type PinAt } from "../map/districts";

interface Props {
  incidents: readonly IncidentSummary[];
  selected: IncidentDetail | null;
}

const CLOSE_UP = 14;
/** Of an assignment that brings nobody any more. */
const GONE = ["declined", "stood_down"];
/** Half the width of a pin with its ring, in pixels, and some air. */
const INCIDENT_R = 17;
const RESPONDER_R = 13;

export function MapView({ incidents, selected }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const map = useRef<L.Map | null>(null);
  const markers = useRef<L.LayerGroup>(L.layerGroup());
  const names = useRef<L.LayerGroup>(L.layerGroup());
  const pins = useRef<readonly PinAt[]>([]);
  const writeNames = () => map.current && nameDistricts(map.current, names.current, lang.peek(), pins.current);

  useEffect(() => {
    const created = createMap(host.current!);
    map.current = created;
    markers.current.addTo(created);
    names.current.addTo(created);
    created.on("moveend", writeNames);
    const resize = new ResizeObserver(() => created.invalidateSize({ pan: false }));
    resize.observe(host.current!);
    return () => {
      resize.disconnect();
      created.remove();
    };
  }, []);

  useEffect(() => {
    markers.current.clearLayers();
    const shown: PinAt[] = [];
    const add = (marker: L.Marker, radius: number) => {
      marker.addTo(markers.current);
      shown.push({ at: marker.getLatLng(), radius });
    };
    const asked = selected && selected.home.id !== PLATFORM && !incidents.some((i) => i.id === selected.id) ? [selected] : [];
    for (const i of [...incidents, ...asked]) add(incidentMarker(i, i.id === selected?.id), INCIDENT_R);
    for (const a of selected?.assignments ?? []) {
      if (a.responder.lat != null && a.responder.lon != null && !GONE.includes(a.state)) {
        add(responderMarker(a.responder.lat, a.responder.lon, a.responder.name), RESPONDER_R);
      }
    }
    pins.current = shown;
    writeNames();
  }, [incidents, selected, lang.value]);

  useEffect(() => {
    if (!selected) return;
    if (selected.home.id === PLATFORM) map.current?.fitBounds(boundsOf(outageArea(selected.cause)));
    else map.current?.setView([selected.home.lat, selected.home.lon], CLOSE_UP);
  }, [selected?.id]);

  return <aside class="map" ref={host} aria-label={t("incident.map")} data-testid="map" />;
}

function createMap(element: HTMLElement): L.Map {
  const map = L.map(element, { zoomControl: true, attributionControl: false, zoomSnap: 0.25 });
  drawDistricts(map);
  map.fitBounds(boundsOf(""));
  L.control.scale({ imperial: false }).addTo(map);
  return map;
}

function incidentMarker(incident: IncidentSummary, selected: boolean): L.Marker {
  const look = incident.class === "technical" ? "technical" : incident.priority;
  const classes = `pin pin-${look} ${incident.state === "new" ? "pin-new" : ""} ${selected ? "pin-selected" : ""}`;
  return L.marker([incident.home.lat, incident.home.lon], {
    icon: L.divIcon({ className: classes, iconSize: [22, 22] }),
    title: `${incident.cause ? causeText(incident.cause) : code("kind", incident.kind)} · ${incident.resident?.name ?? incident.home.id}`,
    zIndexOffset: selected ? 1000 : 0,
  }).on("click", () => void select(incident.id));
}

function responderMarker(lat: number, lon: number, name: string): L.Marker {
  return L.marker([lat, lon], { icon: L.divIcon({ className: "pin pin-responder", iconSize: [18, 18] }), title: name });
}

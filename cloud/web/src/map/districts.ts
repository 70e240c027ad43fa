/** The sub-districts as the ground of a map: their outlines, and their names above the pins in a pane of their own. */

import L from "leaflet";
import type { FeatureCollection, Polygon } from "geojson";
import type { Lang } from "../i18n";
import { encloses, type Name, type Pin, placed } from "./names";
import outlines from "./sub-districts.json";

interface District {
  code: string;
  zh: string;
  en: string;
  lat: number;
  lon: number;
}

const DISTRICTS = outlines as FeatureCollection<Polygon, District>;
const PANE = "names";
/** Above the markers (600), below what pops up (700). */
const ABOVE_PINS = "650";

/** Draw the outlines. */
export function drawDistricts(map: L.Map): void {
  const pane = map.createPane(PANE);
  pane.style.zIndex = ABOVE_PINS;
  pane.style.pointerEvents = "none";
  L.geoJSON(DISTRICTS, {
    style: { color: "#8a94a0", weight: 1.2, fillColor: "#eef1f4", fillOpacity: 1 },
    interactive: false,
  }).addTo(map);
}

/** Of a sub-district; of none that is known, of all. */
export function boundsOf(area: string): L.LatLngBounds {
  const known = DISTRICTS.features.filter(({ properties }) => properties.code === area);
  const shown: FeatureCollection<Polygon, District> = { ...DISTRICTS, features: known.length > 0 ? known : DISTRICTS.features };
  return L.geoJSON(shown).getBounds().pad(0.02);
}

export interface PinAt {
  readonly at: L.LatLngExpression;
  readonly radius: number;
}

/** Write the names anew, as the map is seen now, beside the pins. */
export function nameDistricts(map: L.Map, names: L.LayerGroup, lang: Lang, pins: readonly PinAt[]): void {
  names.clearLayers();
  const pencil = document.createElement("canvas").getContext("2d")!;
  const style = getComputedStyle(map.getContainer());
  pencil.font = `600 ${style.getPropertyValue("--name-size")} ${style.fontFamily}`;
  const wanted = DISTRICTS.features.map(({ properties: d, geometry }): Name => {
    const owns = (point: { x: number; y: number }) => {
      const { lng, lat } = map.layerPointToLatLng(L.point(point.x, point.y));
      return encloses(geometry.coordinates[0] ?? [], lng, lat);
    };
    return { ...point(map, [d.lat, d.lon]), width: pencil.measureText(d[lang]).width + 4, owns };
  });
  const { x: left, y: top } = map.containerPointToLayerPoint([0, 0]);
  const view = { left, top, right: left + map.getSize().x, bottom: top + map.getSize().y };
  const spots = placed(wanted, pins.map(({ at, radius }): Pin => ({ ...point(map, at), radius })), view);
  DISTRICTS.features.forEach(({ properties: d }, i) => {
    const spot = spots[i]!;
    const away: [number, number] = [wanted[i]!.x - spot.x, wanted[i]!.y - spot.y];
    const icon = L.divIcon({ className: "district-name", html: `<span>${d[lang]}</span>`, iconSize: [0, 0], iconAnchor: away });
    L.marker([d.lat, d.lon], { icon, pane: PANE, interactive: false, keyboard: false }).addTo(names);
  });
}

function point(map: L.Map, at: L.LatLngExpression): { x: number; y: number } {
  const { x, y } = map.latLngToLayerPoint(at);
  return { x, y };
}

/** Units as people read them; metrics without a unit are not named. */

export const UNITS: Record<string, string> = {
  heart_rate: "/min",
  respiration_rate: "/min",
  spo2: "%",
  body_temperature: "°C",
  blood_pressure: "mmHg",
  systolic: "mmHg",
  diastolic: "mmHg",
  weight: "kg",
  glucose: "mmol/L",
  peak_acceleration: "m/s²",
  lat: "°",
  lon: "°",
  accuracy: "m",
  speed: "m/s",
  temperature: "°C",
  humidity: "%",
  illuminance: "lx",
  power: "W",
  co_ppm: "ppm",
  battery: "%",
  rssi: "dBm",
};

/** Decimals that mean something: a position needs five to tell a house, most values one. */
export function rounded(metric: string, value: number): string {
  return String(Number(value.toFixed(metric === "lat" || metric === "lon" ? 5 : 1)));
}

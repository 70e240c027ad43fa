/** Start of the console. */

import { render } from "preact";
import { App } from "./app";
import "./styles/base.css";
import "./styles/console.css";
import "./styles/narrow.css";
import "leaflet/dist/leaflet.css";
import "uplot/dist/uPlot.min.css";

render(<App />, document.getElementById("app")!);

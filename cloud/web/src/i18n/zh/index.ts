/** Chinese, the customer's language; its keys define what every other language must have, file by file. */

import { alarms } from "./alarms";
import { faults } from "./faults";
import { general } from "./general";
import { homes } from "./homes";
import { platform } from "./platform";
import { queue } from "./queue";
import { responders } from "./responders";
import { shell } from "./shell";
import { timeline } from "./timeline";

export const zh = {
  ...shell,
  ...general,
  ...queue,
  ...timeline,
  ...alarms,
  ...faults,
  ...homes,
  ...responders,
  ...platform,
} as const;

export type Key = keyof typeof zh;

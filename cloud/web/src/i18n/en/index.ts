/** English, complete by type: a key missing in a file does not compile. */

import type { Key } from "../zh";
import { alarms } from "./alarms";
import { faults } from "./faults";
import { general } from "./general";
import { homes } from "./homes";
import { platform } from "./platform";
import { queue } from "./queue";
import { responders } from "./responders";
import { shell } from "./shell";
import { timeline } from "./timeline";

export const en: Record<Key, string> = {
  ...shell,
  ...general,
  ...queue,
  ...timeline,
  ...alarms,
  ...faults,
  ...homes,
  ...responders,
  ...platform,
};

/** What concerns the platform itself: messages it refused (for operators of the whole district), and homes that were
 * without protection. */

import { HeldMessages } from "../components/held-messages";
import { Unprotected } from "../components/unprotected";
import { me } from "../data/session";

export function PlatformPage() {
  return (
    <div class="platform-page">
      {!me.value?.sub_district && <HeldMessages />}
      <Unprotected />
    </div>
  );
}

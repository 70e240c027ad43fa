/** What concerns the platform itself: messages it refused, and homes that were without protection. */

import { HeldMessages } from "../components/held-messages";
import { Unprotected } from "../components/unprotected";

export function PlatformPage() {
  return (
    <div class="platform-page">
      <HeldMessages />
      <Unprotected />
    </div>
  );
}

/** Decides between sign-in and console, and ties stream, sound and claim lease to the signed-in operator. */

import { effect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { TopBar } from "./components/top-bar";
import { act, detail, grown, unclaimedLife } from "./data/incidents";
import { page } from "./data/page";
import { me, restore } from "./data/session";
import { closeStream, openStream } from "./data/stream";
import { HomesPage } from "./pages/homes";
import { PlatformPage } from "./pages/platform";
import { QueuePage } from "./pages/queue";
import { RespondersPage } from "./pages/responders";
import { SignInPage } from "./pages/sign-in";
import { type SoundPriority, PRIORITIES, soundOnce, toSound } from "./sound/shift";

const RENEW_MS = 20_000;

effect(() => {
  const urgent = unclaimedLife.value.map((i) => i.priority as SoundPriority);
  toSound.value = PRIORITIES.find((p) => urgent.includes(p)) ?? null;
});

effect(() => {
  if (grown.value) soundOnce(grown.value.priority as SoundPriority);
});

export function App() {
  useEffect(() => void restore(), []);
  const user = me.value;
  useEffect(() => {
    if (!user) return;
    openStream();
    const renewal = window.setInterval(renewOwnClaim, RENEW_MS);
    return () => {
      closeStream();
      window.clearInterval(renewal);
    };
  }, [user?.id, user?.sub_district]);
  if (user === undefined) return null;
  if (user === null) return <SignInPage />;
  return (
    <>
      <TopBar />
      <main>
        {page.value === "queue" && <QueuePage />}
        {page.value === "homes" && <HomesPage />}
        {page.value === "responders" && <RespondersPage />}
        {page.value === "platform" && <PlatformPage />}
      </main>
    </>
  );
}

/** Keeps the lease of the incident on screen alive; it runs out by itself when this browser dies. */
function renewOwnClaim(): void {
  if (detail.value?.state !== "closed" && detail.value?.claimed_by?.id === me.value?.id) void act("renew");
}

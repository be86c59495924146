// Opens a console session: the device's page in a tab of its own, by the one-time ticket that the platform gives, and
// here the page that tells of the session.

import { type Host, HostStatus } from "fleetwire/api/v1/host";
import { SessionService } from "fleetwire/api/v1/session";
import { useState } from "react";
import { useNavigate } from "react-router";
import { calling, randomKey, useMay } from "../api/query";
import { Dialog, Wrong } from "./parts";

export function OpenConsole({ host }: { host: Host }) {
  const may = useMay(SessionService.method.openSession);
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const navigate = useNavigate();
  if (!may || host.revokedAt) return null;
  const open = async () => {
    // Before anything is waited for, or the browser takes it for a page that opens itself.
    const tab = window.open("about:blank");
    setBusy(true);
    try {
      const headers = { "idempotency-key": randomKey() };
      const init = { host: host.id };
      const { consoleUrl, sessionId } = await calling(SessionService.method.openSession, init, { headers });
      if (!tab)
        throw new Error("The browser did not open a tab. Allow pop-ups of this page, and open it again.");
      // The device's page is another's: it is not to reach this one.
      tab.opener = null;
      tab.location.replace(consoleUrl);
      navigate(`/sessions/${sessionId}`);
    } catch (error) {
      tab?.close();
      setError(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <button
        type="button"
        className="primary"
        disabled={busy || host.status !== HostStatus.ONLINE}
        title={host.status === HostStatus.ONLINE ? undefined : "The host is not connected"}
        onClick={() => void open()}
      >
        Open console
      </button>
      {error !== undefined && (
        <Dialog title="The console did not open" onClose={() => setError(undefined)}>
          <Wrong error={error} />
          <div className="actions">
            <button type="button" onClick={() => setError(undefined)}>
              Close
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}

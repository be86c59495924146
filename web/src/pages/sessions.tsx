// All open console sessions.

import { SessionService } from "fleetwire/api/v1/session";
import { useList } from "../api/query";
import { Answer, Empty, More, Page } from "../ui/parts";
import { SessionRows } from "../ui/session-rows";

export default function Sessions() {
  const sessions = useList(SessionService.method.listSessions, { pageSize: 100 });
  return (
    <Page title="Console sessions">
      <section className="panel">
        <Answer of={sessions}>
          {({ pages }) => {
            const rows = pages.flatMap(({ sessions }) => sessions);
            return rows.length ? (
              <>
                <SessionRows sessions={rows} />
                <More of={sessions} />
              </>
            ) : (
              <Empty title="No console session is open">A host's page opens one, in a tab of its own.</Empty>
            );
          }}
        </Answer>
      </section>
    </Page>
  );
}

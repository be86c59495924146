// The console's addresses. Each page is a chunk of its own, and which there are is one table, from which the
// navigation is made as well: a page that its reader may not use is not there for them.

import type { DescMethod } from "@bufbuild/protobuf";
import { AlertChannelService } from "fleetwire/api/v1/alert_channel";
import { AuditService } from "fleetwire/api/v1/audit";
import { CommandService } from "fleetwire/api/v1/command";
import { EnrolmentTokenService } from "fleetwire/api/v1/enrolment_token";
import { UserService } from "fleetwire/api/v1/user";
import { type ComponentType, lazy, Suspense } from "react";
import { createBrowserRouter, type RouteObject, RouterProvider, useRouteError } from "react-router";
import { useMay, useSession } from "./api/query";
import { Shell } from "./shell";
import { SignIn } from "./sign-in";
import { Empty, Loading, Page, says } from "./ui/parts";

/** One page: what of the API it cannot do without. */
export interface Place {
  path: string;
  needs?: DescMethod;
  load: () => Promise<{ default: ComponentType }>;
}

export const PLACES: readonly Place[] = [
  { path: "/", load: () => import("./pages/overview") },
  { path: "/hosts", load: () => import("./pages/hosts") },
  { path: "/hosts/:id", load: () => import("./pages/host") },
  { path: "/run", needs: CommandService.method.createCommand, load: () => import("./pages/run") },
  { path: "/commands", load: () => import("./pages/commands") },
  { path: "/commands/:id", load: () => import("./pages/command") },
  { path: "/dead-letters", load: () => import("./pages/dead-letters") },
  { path: "/alerts", load: () => import("./pages/alerts") },
  { path: "/alerts/rules", load: () => import("./pages/alert-rules") },
  {
    path: "/alerts/channels",
    needs: AlertChannelService.method.listAlertChannels,
    load: () => import("./pages/alert-channels"),
  },
  { path: "/alerts/silences", load: () => import("./pages/alert-silences") },
  { path: "/alerts/:id", load: () => import("./pages/alert") },
  { path: "/sessions", load: () => import("./pages/sessions") },
  { path: "/sessions/:id", load: () => import("./pages/session") },
  {
    path: "/enrolment",
    needs: EnrolmentTokenService.method.listEnrolmentTokens,
    load: () => import("./pages/enrolment"),
  },
  { path: "/groups", load: () => import("./pages/groups") },
  { path: "/users", needs: UserService.method.listUsers, load: () => import("./pages/users") },
  { path: "/api-keys", load: () => import("./pages/api-keys") },
  { path: "/audit", needs: AuditService.method.listAuditEntries, load: () => import("./pages/audit") },
  { path: "/account", load: () => import("./pages/account") },
  { path: "/about", load: () => import("./pages/about") },
];

function Allowed({ needs, children }: { needs: DescMethod; children: React.ReactNode }) {
  return useMay(needs) ? children : <Nothing />;
}

function Nothing() {
  return (
    <Page title="Nothing here">
      <section className="panel">
        <Empty title="There is no such page">It may have been moved, or it is not for your role.</Empty>
      </section>
    </Page>
  );
}

/** A page failed, most often as the platform serves another version by now. */
function Broken() {
  const error = useRouteError();
  return (
    <div className="door">
      <main>
        <section className="panel stack" role="alert">
          <h1>This page failed</h1>
          <p className="muted">{says(error)}</p>
          <button type="button" className="primary" onClick={() => location.reload()}>
            Load it again
          </button>
        </section>
      </main>
    </div>
  );
}

function routed({ path, needs, load }: Place): RouteObject {
  const Lazy = lazy(load);
  const page = (
    <Suspense fallback={<Loading />}>
      <Lazy />
    </Suspense>
  );
  return { path, element: needs ? <Allowed needs={needs}>{page}</Allowed> : page };
}

let router: ReturnType<typeof createBrowserRouter> | undefined;

/** Begins where the address leads once somebody is in: a provider sends the browser back to another. */
function routes() {
  router ??= createBrowserRouter([
    {
      element: <Shell />,
      errorElement: <Broken />,
      children: [...PLACES.map(routed), { path: "*", element: <Nothing /> }],
    },
  ]);
  return router;
}

export function App() {
  const session = useSession();
  if (session.state === "unknown") {
    return (
      <main className="door">
        <Loading />
      </main>
    );
  }
  if (session.state === "out") return <SignIn why={session.why} />;
  return <RouterProvider router={routes()} />;
}

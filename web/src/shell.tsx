// The frame around every page: where one can go, who is signed in, and whether what is shown is current.

import type { DescMethod } from "@bufbuild/protobuf";
import { AlertService, AlertState } from "fleetwire/api/v1/alert";
import { AuditService } from "fleetwire/api/v1/audit";
import { CommandService } from "fleetwire/api/v1/command";
import { EnrolmentTokenService } from "fleetwire/api/v1/enrolment_token";
import { UserService } from "fleetwire/api/v1/user";
import { useEffect, useState } from "react";
import { Link, NavLink, Outlet, useLocation } from "react-router";
import { allows } from "./api/call";
import { useCall, useSession } from "./api/query";
import { role, signOut } from "./api/session";
import { useStanding } from "./live/live";
import { switchTheme } from "./theme";
import { Icon, type IconName } from "./ui/icons";
import { Word } from "./ui/text";
import { roleWord } from "./ui/words";

interface Entry {
  to: string;
  text: string;
  icon: IconName;
  needs?: DescMethod;
  /** Beside its name. */
  badge?: () => React.ReactNode;
}

const NAVIGATION: readonly { title?: string; entries: readonly Entry[] }[] = [
  {
    entries: [
      { to: "/", text: "Overview", icon: "overview" },
      { to: "/hosts", text: "Hosts", icon: "hosts" },
      { to: "/alerts", text: "Alerts", icon: "alerts", badge: () => <Firing /> },
      { to: "/sessions", text: "Console sessions", icon: "sessions" },
    ],
  },
  {
    title: "Commands",
    entries: [
      { to: "/run", text: "Run a command", icon: "run", needs: CommandService.method.createCommand },
      { to: "/commands", text: "Commands", icon: "commands" },
      { to: "/dead-letters", text: "Dead letters", icon: "dead" },
    ],
  },
  {
    title: "Administration",
    entries: [
      {
        to: "/enrolment",
        text: "Enrolment",
        icon: "enrolment",
        needs: EnrolmentTokenService.method.listEnrolmentTokens,
      },
      { to: "/groups", text: "Groups", icon: "groups" },
      { to: "/users", text: "Users", icon: "users", needs: UserService.method.listUsers },
      { to: "/api-keys", text: "API keys", icon: "keys" },
      { to: "/audit", text: "Audit", icon: "audit", needs: AuditService.method.listAuditEntries },
      { to: "/about", text: "About", icon: "about" },
    ],
  },
];

export function Shell() {
  const [open, setOpen] = useState(false);
  const { pathname } = useLocation();
  // biome-ignore lint/correctness/useExhaustiveDependencies: whoever went somewhere else has used the menu
  useEffect(() => setOpen(false), [pathname]);
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <div className="bar">
        <Brand />
        <button
          type="button"
          className="plain"
          aria-expanded={open}
          aria-controls="navigation"
          aria-label="Menu"
          onClick={() => setOpen(!open)}
        >
          <Icon name="menu" />
        </button>
      </div>
      <aside className={`side${open ? " open" : ""}`} id="navigation" aria-label="Navigation">
        <Brand />
        <Navigation />
        <Who />
      </aside>
      <main className="main" id="main" tabIndex={-1}>
        <Banner />
        <Outlet />
      </main>
    </div>
  );
}

export function Brand() {
  return (
    <Link to="/" className="brand">
      <img src="/favicon.svg" alt="" />
      Fleetwire
    </Link>
  );
}

function Navigation() {
  useSession();
  return (
    <nav className="nav" aria-label="Pages">
      {NAVIGATION.map(({ title, entries }) => {
        const may = entries.filter(({ needs }) => !needs || allows(role(), needs));
        if (!may.length) return null;
        return (
          <div className="nav" key={title ?? ""}>
            {title && <h2>{title}</h2>}
            {may.map(({ to, text, icon, badge }) => (
              <NavLink key={to} to={to} end={to === "/"}>
                <Icon name={icon} />
                {text}
                {badge?.()}
              </NavLink>
            ))}
          </div>
        );
      })}
    </nav>
  );
}

/** How many alerts fire and have nobody who looks after them. */
function Firing() {
  const answer = useCall(AlertService.method.listAlerts, { state: AlertState.FIRING, pageSize: 100 });
  const count = answer.data?.alerts.filter(({ acknowledgedBy }) => !acknowledgedBy).length ?? 0;
  if (!count) return null;
  return (
    <span className="badge">
      <span className="visually-hidden">, firing: </span>
      {count}
      {answer.data?.nextPageToken && "+"}
    </span>
  );
}

function Who() {
  const session = useSession();
  if (session.state !== "in") return null;
  return (
    <footer>
      <div className="grow">
        <div className="cut">
          <Link to="/account" title="Your account">
            <Word>{session.user.name}</Word>
          </Link>
        </div>
        <div className="muted small">
          {roleWord(session.user.role)}
          {session.byKey && ", by API key"}
        </div>
      </div>
      <button
        type="button"
        className="plain"
        onClick={switchTheme}
        aria-label="Light or dark"
        title="Light or dark"
      >
        <Icon name="theme" />
      </button>
      <button
        type="button"
        className="plain"
        onClick={() => void signOut()}
        aria-label="Sign out"
        title="Sign out"
      >
        <Icon name="out" />
      </button>
    </footer>
  );
}

/** Says that what is shown may be old, for as long as it may. */
function Banner() {
  const standing = useStanding();
  return (
    <div role="status">
      {standing === "lost" && (
        <div className="banner">
          <span className="spinner" />
          Connection lost, reconnecting. What you see may be out of date.
        </div>
      )}
    </div>
  );
}

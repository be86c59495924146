// One's own way in: the password, and the second factor.

import { AuthService } from "fleetwire/api/v1/auth";
import { useState } from "react";
import { useChange, useSession } from "../api/query";
import { forget, identify } from "../api/session";
import { Dialog, Field, FormDialog, Page, Panel, Secret, State, TextField, Wrong } from "../ui/parts";
import { Qr } from "../ui/qr";
import { Word } from "../ui/text";
import { roleWord } from "../ui/words";

export default function Account() {
  const session = useSession();
  if (session.state !== "in") return null;
  const { user, byKey } = session;
  return (
    <Page title={<Word>{user.name}</Word>} beside={<span className="muted">{roleWord(user.role)}</span>}>
      {byKey ? (
        <p className="note">
          You came in by an API key: a password and a second factor are changed by who signed in.
        </p>
      ) : (
        <div className="columns">
          {user.hasPassword && <Password />}
          {user.hasPassword && <SecondFactor on={user.totp} />}
          {!user.hasPassword && (
            <p className="note">You sign in over your provider, which has your password.</p>
          )}
        </div>
      )}
    </Page>
  );
}

function Password() {
  const [present, setPresent] = useState("");
  const [next, setNext] = useState("");
  const change = useChange(AuthService.method.changePassword, () =>
    forget("Your password is changed. Sign in with it."),
  );
  return (
    <Panel title="Password">
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          change.mutate({ present, new: next });
        }}
      >
        <Secretly
          label="Present password"
          complete="current-password"
          value={present}
          onChange={setPresent}
        />
        <Secretly
          label="New password"
          hint="12 characters at least. All your sign-ins end, this one too."
          complete="new-password"
          value={next}
          onChange={setNext}
        />
        <Wrong error={change.error} />
        <div className="actions">
          <button type="submit" className="primary" disabled={change.isPending}>
            Change password
          </button>
        </div>
      </form>
    </Panel>
  );
}

function SecondFactor({ on }: { on: boolean }) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [codes, setCodes] = useState<string[]>();
  const [asked, setAsked] = useState(false);
  /** What was typed is not left for whoever sits here next. */
  const emptied = () => {
    setPassword("");
    setCode("");
  };
  const begin = useChange(AuthService.method.beginTotp);
  const confirm = useChange(AuthService.method.confirmTotp, ({ recoveryCodes }) => {
    setCodes(recoveryCodes);
    emptied();
    begin.reset();
    void identify();
  });
  const renew = useChange(AuthService.method.renewRecoveryCodes, ({ recoveryCodes }) => {
    setCodes(recoveryCodes);
    emptied();
  });
  return (
    <Panel
      title="Second factor"
      actions={on ? <State tone="good">on</State> : <State tone="idle">off</State>}
    >
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          if (on) renew.mutate({ password, code });
          else if (begin.data) confirm.mutate({ code });
          else begin.mutate({ password });
        }}
      >
        {!begin.data && (
          <Secretly
            label="Your password"
            complete="current-password"
            value={password}
            onChange={setPassword}
          />
        )}
        {!on && begin.data && (
          <>
            <p>Scan this with your authenticator app, and type the code that it shows.</p>
            <Qr text={begin.data.url} label="The second factor's secret as a QR code" />
            <Secret label="Or type it" text={begin.data.secret} />
          </>
        )}
        {(on || begin.data) && <Code value={code} onChange={setCode} />}
        <Wrong error={begin.error ?? confirm.error ?? renew.error} />
        <div className="actions">
          <button type="submit" className={on ? undefined : "primary"}>
            {on ? "New recovery codes" : begin.data ? "Turn it on" : "Set it up"}
          </button>
          {on && (
            <button type="button" className="danger" onClick={() => setAsked(true)}>
              Turn it off
            </button>
          )}
        </div>
      </form>
      {asked && <TurnOff onClose={() => setAsked(false)} />}
      {codes && (
        <Dialog title="Recovery codes, shown this once" onClose={() => setCodes(undefined)}>
          <p>Each is good once, for when the app is lost.</p>
          <Secret label="Codes" text={codes.join("\n")} />
          <div className="actions">
            <button type="button" className="primary" onClick={() => setCodes(undefined)}>
              I have kept them
            </button>
          </div>
        </Dialog>
      )}
    </Panel>
  );
}

/** Asks before one's sign-in is left with the password alone. */
function TurnOff({ onClose }: { onClose: () => void }) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const disable = useChange(AuthService.method.disableTotp, () =>
    forget("Your second factor is off. Sign in again."),
  );
  return (
    <FormDialog
      title="Turn off the second factor?"
      action="Turn it off"
      danger
      pending={disable.isPending}
      error={disable.error}
      onSubmit={() => disable.mutate({ password, code })}
      onClose={onClose}
    >
      <p>
        Whoever knows your password is then let in by it alone. All your sign-ins end, this one too, and the
        recovery codes are good no more.
      </p>
      <Secretly label="Your password" complete="current-password" value={password} onChange={setPassword} />
      <Code value={code} onChange={setCode} />
    </FormDialog>
  );
}

function Code({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  return (
    <TextField
      label="Code"
      name="code"
      required
      autoComplete="one-time-code"
      value={value}
      onChange={onChange}
    />
  );
}

function Secretly({
  label,
  hint,
  complete,
  value,
  onChange,
}: {
  label: string;
  hint?: string;
  complete: string;
  value: string;
  onChange: (value: string) => void;
}) {
  return (
    <Field label={label} hint={hint}>
      {(ids) => (
        <input
          {...ids}
          type="password"
          required
          autoComplete={complete}
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}
